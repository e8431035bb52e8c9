"""What a registered sender is told when the notice forbids to take in what it sends: why, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from troth.kit.errors import TrothError
from troth.policy import PermitDenied

#: What a sender is told of an instance that contradicts what is held: not whose that is. 64 characters (0000,0902).
KEPT_APART = "Not stored: in conflict; kept apart for a person to resolve"

#: Coercion of Data Elements: Status of C-STORE, and Warning Reason (0008,1196). DICOM PS3.4 B.2.3, PS3.18 I.2.2.
COERCED = 0xB000
#: What a sender is told beside it.
COERCED_TOLD = "Stored; elements were coerced, as its study was corrected"


class NotTaken(TrothError):
    """The sender may store, and a clause stands in the way at this moment; it keeps what it sent and can try again."""

    slug = "not-taken"
    title = "The notice does not let this be taken in now"
    http_status = 403
    dimse_status = 0x0124  # not authorised, DICOM PS3.7 C.5.11


@contextmanager
def telling_why() -> Iterator[None]:
    """Turn a refusal into one that says which clause stands in the way, for senders who have access otherwise.

    Raises:
        NotTaken: The notice would allow it without these clauses.
        PermitDenied: Nobody who may know.
    """
    try:
        yield
    except PermitDenied as denied:
        if not denied.clauses:
            raise
        said = f"Not taken now: clause {', '.join(denied.clauses)} of the notice."
        raise NotTaken(said, hint="Keep it and send it again. " + denied.reason) from None
