"""What can be given here, where it is listed, how it ends, what is written both times, and where its end is felt.

A right that somebody or something is given stands in this table or it is not given. `tests/promises/test_acts.py`
walks it: gives, finds it in the list, ends it, finds both entries, and is refused afterwards at each door, within a
second and in what was open already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Door = Literal["pages", "viewer", "dicomweb", "dimse", "rest", "stream", "invitation"]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that can be given.

    Attributes:
        name: What is given.
        given: Kind of the entry when it is given.
        ended: Kind of the entry when it ends.
        listed: Route of the page that lists it.
        ends: Route by which it ends.
        command: The same on the command line, below `troth admin`; empty where only its owner ends it.
        felt: Where the end is felt.
    """

    name: str
    given: str
    ended: str
    listed: str
    ends: str
    command: str
    felt: tuple[Door, ...]


ACTS: Final = (
    Act(
        "member", "people:member:joined", "people:member:ended", "/admin", "/admin/people/{id}", "user end",
        ("pages", "viewer", "dicomweb", "stream"),
    ),
    Act(
        "role", "people:member:changed", "people:member:changed", "/admin", "/admin/people/{id}", "user role",
        ("pages", "viewer", "dicomweb"),
    ),
    Act(
        "invitation", "people:invitation:made", "people:invitation:withdrawn", "/admin", "/admin/invitations/{id}",
        "invitation withdraw", ("invitation",),
    ),
    Act(
        "patient's invitation", "people:invitation:made", "people:invitation:withdrawn", "/studies/{id}/invite",
        "/studies/{id}/invite", "", ("invitation",),
    ),
    Act(
        "proposal", "people:admission:proposed", "people:admission:refused", "/admin", "/admissions/{id}", "",
        ("invitation",),
    ),
    Act(
        "session", "people:session:started", "people:session:ended", "/admin/people/{id}", "/admin/people/{id}",
        "session end", ("pages", "viewer", "dicomweb", "stream"),
    ),
    Act(
        "own session", "people:session:started", "people:session:ended", "/account", "/account/sessions", "",
        ("pages", "viewer", "dicomweb"),
    ),
    Act(
        "token", "people:token:issued", "people:token:ended", "/admin/systems", "/admin/tokens/{id}", "token revoke",
        ("dicomweb", "rest", "stream"),
    ),
    Act(
        "machine", "people:peer:added", "people:peer:ended", "/admin/systems", "/admin/systems/{id}", "peer end",
        ("dimse",),
    ),
    Act(
        "certificate", "people:peer:added", "people:peer:changed", "/admin/systems", "/admin/systems/{id}",
        "peer change", ("dimse",),
    ),
    Act(
        "account", "people:subject:matched", "people:account:closed", "/account", "/account/close", "",
        ("pages", "viewer", "dicomweb"),
    ),
    Act(
        "assignment", "people:assignment:made", "people:assignment:ended", "/studies/{id}/care", "/studies/{id}/care",
        "", ("pages", "viewer", "dicomweb"),
    ),
)  # fmt: skip
