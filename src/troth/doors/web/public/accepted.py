"""The texts that come with an account, as the pages show them before it is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from troth.doors.web import words
from troth.doors.web.forms import Fault
from troth.doors.web.public.views import AcceptedLine, AcceptedView
from troth.notice import NoticeVersion
from troth.people import Document, documents

CHANGED: Final = Fault("", "The notice or the terms changed while you were here. Look at what counts now, then go on")


def for_anybody(versions: Sequence[NoticeVersion]) -> list[Document]:
    """What whoever signs in for the first time accepts, as patient or as user, wherever they are.

    Args:
        versions: In force.
    """
    found = {
        (each.version.id, each.clause): each
        for audience in ("users", "patients")
        for version in versions
        for region in ("", *sorted(version.notice.places)[:1])
        for each in documents([version], audience, region)
    }
    return list(found.values())


def accepted_of(found: Sequence[Document], *, is_first_only: bool = False) -> AcceptedView | None:
    """What somebody accepts by going on; None where nothing is in force.

    Args:
        found: The texts.
        is_first_only: Whoever has an account accepted before.
    """
    lines = tuple(_line(each) for each in found)
    return AcceptedView(lines, shown_of(found), is_first_only) if lines else None


def shown_of(found: Sequence[Document]) -> str:
    """Which versions are shown, as the form carries it back."""
    return ",".join(dict.fromkeys(f"{each.version.name}:{each.version.number}" for each in found))


def is_outdated(fields: Mapping[str, str], found: Sequence[Document]) -> bool:
    """Whether a form does not say that it showed the versions in force: nobody accepts what they were not shown."""
    return fields.get("shown", "") != shown_of(found)


def _line(each: Document) -> AcceptedLine:
    version = each.version
    href = f"/notice/versions/{version.number}?of={version.name}"
    if each.document == "terms":
        return AcceptedLine(f"{each.title}, edition {each.edition}", f"{href}#p{each.clause.replace('.', '-')}")
    head = version.notice.head
    return AcceptedLine(
        f"Privacy notice of {head.deployment} ({version.name}), version {version.number}, "
        f"since {words.day(version.effective_on)}",
        href,
    )
