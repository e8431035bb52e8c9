"""The pages: for everybody, for patients, for those who treat, for the privacy office, for administrators.

No rules and no SQL: a handler asks for a permit, calls a room's verb, and hands a view model to a template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from troth.doors.web.declared import collecting, require_forms, undeclared

if TYPE_CHECKING:
    from troth.doors.web.app import create
    from troth.doors.web.office import reminder
    from troth.doors.web.ports import Rooms

__all__ = ["Rooms", "collecting", "create", "reminder", "require_forms", "undeclared"]


def __getattr__(name: str) -> Any:
    """What serves: it needs a web server's parts, and `troth check`, which only asks what is declared, does not."""
    if name == "create":
        from troth.doors.web.app import create

        return create
    if name == "reminder":
        from troth.doors.web.office import reminder

        return reminder
    if name == "Rooms":
        from troth.doors.web.ports import Rooms

        return Rooms
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
