"""What a form asks who sends it from another country than the one where its entries are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from troth.doors.web.desk import ANYBODY, Desk
from troth.doors.web.forms import Fault
from troth.doors.web.places import place
from troth.notice import Clause, NoticeVersion
from troth.people import Agreed
from troth.policy import Actor, PermitDenied, Target

HERE: Final = "here"
ELSEWHERE: Final = "elsewhere"
YES: Final = "yes"


@dataclass(frozen=True, slots=True)
class Abroad:
    """The question of one form, and what was answered.

    Attributes:
        version: The notice that asks.
        clause: The consent in it.
        kept_in: Names of the countries where what is sent is kept.
        is_known: Whoever sends it is known to be elsewhere, and is not asked where.
        place: `here` or `elsewhere`; empty where nothing was answered.
    """

    version: NoticeVersion
    clause: Clause
    kept_in: str
    is_known: bool = False
    place: str = ""
    is_agreed: bool = False

    @property
    def wording(self) -> str:
        """The question, in the words of the notice."""
        return str(getattr(self.clause, "wording_shown", ""))

    @property
    def clauses(self) -> tuple[str, ...]:
        """What stands beside it."""
        return (self.clause.id,)


def asked_of(
    versions: Sequence[NoticeVersion], audience: str, fields: Mapping[str, str], region: str = ""
) -> Abroad | None:
    """What a form has to ask; None where no notice in force says that it asks.

    Args:
        versions: In force.
        audience: Whom the form is for.
        fields: What was sent; empty before.
        region: Country of the organisation that whoever answers belongs to; empty where nobody knows.
    """
    for version in versions:
        for clause in version.notice.all("consent"):
            is_asked = getattr(clause, "asked_of", "") == ELSEWHERE and clause.not_yet is not True
            if is_asked and audience in clause.audiences:
                is_known = bool(region) and region not in version.notice.regions
                return Abroad(
                    version,
                    clause,
                    " or ".join(place(each) for each in version.notice.regions),
                    is_known,
                    ELSEWHERE if is_known else fields.get("place", ""),
                    fields.get("agreed", "") == YES,
                )
    return None


async def agreed_to(
    desk: Desk, asked: Abroad | None, action: str, target: Target, organisation: str = ""
) -> Agreed | Fault | None:
    """The yes of a form, decided before anything of it is taken in; None where it needs none.

    Args:
        desk: Decides.
        asked: The question with its answer.
        action: What the form is for, such as `register`.
        target: What it is for.
        organisation: Name of whoever keeps what is sent, for the receipt.

    Returns:
        A fault where the question is open, or where the decision refuses for want of the yes.
    """
    if asked is None or asked.place == HERE:
        return None
    if asked.place != ELSEWHERE:
        return Fault("place", "Say from where you send this")
    said = (("consent", asked.clause.key),) if asked.is_agreed else ()
    about = Target(target.kind, target.id, target.tenant, attributes=said)
    actor = Actor(ANYBODY.kind, surface=ANYBODY.surface, organisation=organisation)
    purposes: tuple[str, ...] = getattr(asked.clause, "purposes", ())
    try:
        permit = await desk.permit(actor, action, about, purposes[0])
    except PermitDenied:
        return Fault("agreed", f"What you send goes to {asked.kept_in}. Without your yes nothing of it is taken in")
    return Agreed(permit, asked.version, asked.clause)
