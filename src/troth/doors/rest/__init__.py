"""REST for other systems (DESIGN §5): JSON, described by OpenAPI, errors as problem documents (RFC 9457).

The organisation comes from the bearer token, never from the URL; what is not for a caller is not there.
"""

from troth.doors.rest.app import create
from troth.doors.rest.ports import Rooms

__all__ = ["Rooms", "create"]
