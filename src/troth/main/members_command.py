"""`troth admin user|invitation|session`: who works in an organisation, who is asked to, and who is signed in."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from troth.main.inside import DataDir, Id, Organisation, id_of, inside, table
from troth.main.wiring import Rooms
from troth.people import SessionNotFound, UserNotFound
from troth.policy import Permit

user_app = typer.Typer(help="People who work in an organisation.", no_args_is_help=True)
invitation_app = typer.Typer(help="Invitations that nobody has used.", no_args_is_help=True)
session_app = typer.Typer(help="Who is signed in.", no_args_is_help=True)

Role = Annotated[str, typer.Option(help="clinician, referrer, office or admin.")]


@user_app.command("add")
def add_user(
    email: str,
    organisation: Organisation,
    name: Annotated[str, typer.Option(help="Display name, such as 'Dr B. Specimen'.")],
    role: Role = "clinician",
    data_dir: DataDir = None,
) -> None:
    """Add a user; prints a sign-in link that works once, for 15 minutes."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        assert permit.tenant is not None
        user = await rooms.people.add_user(permit, permit.tenant, email, name, role)
        return await rooms.people.issue_sign_in_link(permit, user.id)

    inside(organisation, data_dir, "add_user", work)


@user_app.command("invite")
def invite_user(
    email: str,
    organisation: Organisation,
    role: Role = "clinician",
    name: Annotated[str, typer.Option(help="Display name.")] = "",
    data_dir: DataDir = None,
) -> None:
    """Invite a user by mail; prints the invitation's link, which works once, for seven days."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        assert permit.tenant is not None
        return (await rooms.people.invite_user(permit, permit.tenant, email, name, role)).link

    inside(organisation, data_dir, "let_in", work, role=role)


@user_app.command("list")
def list_users(organisation: Organisation, data_dir: DataDir = None) -> None:
    """List the members: id, role, e-mail address, name."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        found = [each for each in await rooms.people.users(permit) if each.is_active]
        return table((each.id, each.role, each.email, each.name) for each in found)

    inside(organisation, data_dir, "administer", work)


@user_app.command("role")
def change_role(
    email: str, role: Annotated[str, typer.Argument()], organisation: Organisation, data_dir: DataDir = None
) -> None:
    """Give a member another role, felt at their next step; prints the role."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        await rooms.people.change_role(permit, await _member(rooms, permit, email), role)
        return role

    inside(organisation, data_dir, "let_in", work, role=role)


@user_app.command("end")
def end_user(email: str, organisation: Organisation, data_dir: DataDir = None) -> None:
    """End the access of a member: sign-in, sessions, what they had open; prints the id."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        member = await _member(rooms, permit, email)
        await rooms.people.end_user(permit, member)
        return str(member)

    inside(organisation, data_dir, "end_access", work)


@user_app.command("forget-factor")
def forget_factor(email: str, organisation: Organisation, data_dir: DataDir = None) -> None:
    """Take away the second factor of a member who lost it, where no two others can; prints the id.

    They set one up at the next sign-in. Their sessions end, mail tells them, and it is written to the ledger.
    """

    async def work(rooms: Rooms, permit: Permit) -> str:
        member = await _member(rooms, permit, email)
        await rooms.people.reset_by_operator(permit, member)
        return str(member)

    inside(organisation, data_dir, "end_access", work)


@invitation_app.command("list")
def list_invitations(organisation: Organisation, data_dir: DataDir = None) -> None:
    """List the invitations that nobody has used: id, role, end, e-mail address, name."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        return table(
            (each.id, each.role, f"{'over since' if each.is_over else 'until'} {each.expires_at:%Y-%m-%d %H:%M}",
             each.email, each.name)
            for each in await rooms.people.invitations(permit)
        )  # fmt: skip

    inside(organisation, data_dir, "administer", work)


@invitation_app.command("resend")
def resend_invitation(invitation: Id, organisation: Organisation, data_dir: DataDir = None) -> None:
    """Mail an invitation again; prints the new link. The one before is over."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        return (await rooms.people.resend_invitation(permit, id_of(invitation))).link

    inside(organisation, data_dir, "invite", work)


@invitation_app.command("withdraw")
def withdraw_invitation(invitation: Id, organisation: Organisation, data_dir: DataDir = None) -> None:
    """Withdraw an invitation: its link is over at once; prints the id."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        await rooms.people.withdraw_invitation(permit, id_of(invitation))
        return invitation

    inside(organisation, data_dir, "end_access", work)


@session_app.command("list")
def list_sessions(organisation: Organisation, data_dir: DataDir = None) -> None:
    """List who of the staff is signed in: id, since, last used, account."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        return table(
            (each.id, f"{each.made_at:%Y-%m-%d %H:%M}", f"{each.seen_at:%Y-%m-%d %H:%M}", each.account_id)
            for each in await rooms.people.sessions(permit)
        )

    inside(organisation, data_dir, "administer", work)


@session_app.command("end")
def end_session(session: Id, organisation: Organisation, data_dir: DataDir = None) -> None:
    """Sign somebody out; felt at their next step. Prints the id."""

    async def work(rooms: Rooms, permit: Permit) -> str:
        if not await rooms.people.end_session_by_id(permit, id_of(session)):
            raise SessionNotFound
        return session

    inside(organisation, data_dir, "end_access", work)


async def _member(rooms: Rooms, permit: Permit, email: str) -> UUID:
    """The active member with an e-mail address.

    Raises:
        UserNotFound: Nobody has it.
    """
    wanted = email.strip().casefold()
    for each in await rooms.people.users(permit):
        if each.is_active and each.email.casefold() == wanted:
            return each.id
    raise UserNotFound
