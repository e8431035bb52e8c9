"""The pages: for everybody, for patients, for those who treat, for the privacy office, for administrators.

No rules and no SQL: a handler asks for a permit, calls a room's verb, and hands a view model to a template.
"""

from troth.doors.web.app import create
from troth.doors.web.declared import collecting, require_forms
from troth.doors.web.ports import Rooms

__all__ = ["Rooms", "collecting", "create", "require_forms"]
