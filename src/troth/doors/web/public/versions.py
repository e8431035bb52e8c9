"""Every version of the notice, what each changed and for whom, and the register of processing."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from troth.doors.web import words
from troth.doors.web.changes import READERS, change_line, listed
from troth.doors.web.desk import Desk
from troth.doors.web.public.version_views import (
    ActivityRow,
    ChangesPage,
    RegisterPage,
    RegisterView,
    VersionRow,
    VersionsPage,
)
from troth.doors.web.render import Page
from troth.kit import clock
from troth.notice import (
    Difference,
    NoticeVersion,
    Register,
    VersionNotFound,
    as_csv,
    as_jsonld,
    diff,
    register,
)


class VersionPages:
    """Handlers for versions, differences and the register.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def versions(self, http_request: Request) -> Response:
        """Every version that was ever published, those that do not count yet among them."""
        published = await self._desk.rooms.notices.versions()
        current = {each.id for each in await self._desk.rooms.notices.current()}
        now = clock.now()
        rows = []
        for each in sorted(published, key=lambda one: (one.effective_on, one.number), reverse=True):
            before = _before(each, published)
            change = diff(before.notice, each.notice) if before else Difference(())
            rows.append(
                VersionRow(
                    label=f"{each.notice.head.deployment}, version {each.number}",
                    name=each.name if len({one.name for one in published}) > 1 else "",
                    href=f"/notice/versions/{each.number}?for={each.notice.audiences[0]}&of={each.name}",
                    changes_href=f"/notice/versions/{each.number}/changes?of={each.name}" if before else "",
                    changes=words.counted(len(change), "change") if before else "the first one",
                    effective_on=each.effective_on,
                    published_at=each.published_at,
                    sha256=each.sha256,
                    state="In force" if each.id in current else "Earlier" if each.counts_at(now) else "Not yet",
                    is_material=each.is_material,
                )
            )
        visitor = await self._desk.visitor(http_request)
        page = Page("public/versions.html", VersionsPage(tuple(rows)))
        return await self._desk.page(http_request, visitor, "Versions of the notice", page, here="/notice")

    async def changes(self, http_request: Request) -> Response:
        """What a version changed, for whom, and what of it weighs."""
        number, name = http_request.path_params["number"], http_request.query_params.get("of")
        published = await self._desk.rooms.notices.versions(name)
        version = next((each for each in published if each.number == number), None)
        before = _before(version, published) if version else None
        if version is None or before is None:
            raise VersionNotFound
        view = changes_page(before, version)
        visitor = await self._desk.visitor(http_request)
        title = f"What version {number} changes"
        return await self._desk.page(http_request, visitor, title, Page("public/changes.html", view), here="/notice")

    async def register(self, http_request: Request) -> Response:
        """The register of processing, to be read."""
        registers = await self._registers()
        view = RegisterPage(tuple(_register_view(each) for each in registers))
        visitor = await self._desk.visitor(http_request)
        page = Page("public/processing.html", view)
        return await self._desk.page(http_request, visitor, "Register of processing", page, here="/notice")

    async def register_csv(self, http_request: Request) -> Response:
        """The register as a table."""
        return _file(as_csv(await self._registers()), "text/csv; charset=utf-8; header=present", "register.csv")

    async def register_jsonld(self, http_request: Request) -> Response:
        """The register in the Data Privacy Vocabulary."""
        text = as_jsonld(await self._registers(), self._desk.rooms.settings.http_url)
        return _file(text, "application/ld+json", "register.jsonld")

    async def _registers(self) -> list[Register]:
        return [register(each.notice) for each in await self._desk.rooms.notices.current()]


def _file(text: str, media_type: str, name: str) -> Response:
    return Response(text, media_type=media_type, headers={"Content-Disposition": f'inline; filename="{name}"'})


def _before(version: NoticeVersion, published: list[NoticeVersion]) -> NoticeVersion | None:
    earlier = [each for each in published if each.name == version.name and each.number < version.number]
    return max(earlier, key=lambda each: each.number, default=None)


def changes_page(before: NoticeVersion, after: NoticeVersion) -> ChangesPage:
    """What one version changed.

    Args:
        before: The version before it.
        after: The version.
    """
    change = diff(before.notice, after.notice)
    return ChangesPage(
        deployment=after.notice.head.deployment,
        number=after.number,
        before=before.number,
        effective_on=after.effective_on,
        counts_now=after.counts_at(clock.now()),
        is_material=after.is_material,
        href=f"/notice/versions/{after.number}?for={after.notice.audiences[0]}&of={after.name}",
        before_href=f"/notice/versions/{before.number}?for={before.notice.audiences[0]}&of={before.name}",
        weighing=tuple(change_line(each) for each in change if each.is_material),
        others=tuple(change_line(each) for each in change if not each.is_material),
    )


def _register_view(each: Register) -> RegisterView:
    return RegisterView(
        heading=f"{each.deployment}, {each.notice}, version {each.version}",
        anchor=each.notice,
        controller=each.controller,
        contacts=tuple((who, f"{name}, {address}") for who, name, address in each.contacts),
        transfers=each.transfers,
        measures=each.measures,
        rows=tuple(
            ActivityRow(
                clause=one.clause,
                key=one.key,
                says=one.says,
                capacity=one.capacity,
                basis=one.basis_words,
                assessed=tuple(clause for clause, _ in one.assessments),
                categories=tuple(held.key for held in one.categories),
                special=any(held.is_special for held in one.categories),
                subjects=listed([READERS[each] for each in one.subjects]),
                recipients=tuple(
                    f"{receiver.name}, {receiver.country}" if receiver.country else receiver.name
                    for receiver in one.recipients
                ),
                regions=", ".join(one.regions),
                retention=tuple(f"{kept.key}: {kept.words}" for kept in one.retention),
            )
            for one in each.activities
        ),
    )
