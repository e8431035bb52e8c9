"""Faults of a peer on the wire. A fault ends the association with A-ABORT; it never carries what was sent."""

from __future__ import annotations

from troth.kit.errors import BadInput, NotFound, TooLarge, TrothError


class ProtocolFault(BadInput):
    """The peer broke the upper layer protocol.

    Per: DICOM PS3.8 9.3.8 (A-ABORT, source 2 = service provider).
    """

    slug = "dimse-protocol-fault"
    title = "The association broke the DICOM upper layer protocol"
    reason = 0


class UnrecognisedPdu(ProtocolFault):
    """A PDU type that does not exist, such as the first byte of an HTTP request."""

    reason = 1


class UnexpectedPdu(ProtocolFault):
    """A PDU that has no place in this state."""

    reason = 2


class InvalidPdu(ProtocolFault):
    """A PDU whose lengths or values cannot be."""

    reason = 6


class DatasetTooLarge(TooLarge):
    """A data set above the limit of this listener."""

    slug = "dataset-too-large"


class PeerGone(TrothError):
    """The other end closed, aborted, or does not read any more: there is nobody to answer."""

    slug = "peer-gone"
    title = "The other end of the association is gone"


class IdentifierWrong(BadInput):
    """An identifier that does not fit its SOP class or level.

    Per: DICOM PS3.4 tables C.4-1 to C.4-3 (A900: identifier does not match SOP class).

    Args:
        detail: One sentence, no personal data.
        offending: Tag of the element, 0 for none.
    """

    slug = "identifier-wrong"
    title = "The identifier does not fit the SOP class or the level"
    dimse_status = 0xA900

    def __init__(self, detail: str = "", offending: int = 0) -> None:
        super().__init__(detail)
        self.offending = offending


class KeyNotHonoured(IdentifierWrong):
    """A matching key that cannot be honoured.

    PS3.4 C.4.1.3 would let us ignore an optional key with a warning (FF01). Most clients do not look at the warning,
    and the answer would show more people than were asked for: so nothing is searched, and the element is named.
    """

    slug = "key-not-honoured"
    title = "A matching key cannot be honoured, so nothing was searched"
    dimse_status = 0xC001


class DestinationUnknown(TrothError):
    """A C-MOVE names no destination that this organisation has registered.

    Per: DICOM PS3.4 table C.4-2.
    """

    slug = "destination-unknown"
    title = "Move destination unknown"
    dimse_status = 0xA801


class NothingThere(NotFound):
    """Nothing of what is to be sent is there, or is for this peer.

    PS3.4 has no status for "no match" in a retrieval, and success would say that something was sent.
    """

    title = "Not there, or not for this peer"


class AssociationFailed(TrothError):
    """A peer that we called did not take the association."""

    slug = "association-failed"
    title = "The peer did not take the association"
    dimse_status = 0xA702  # unable to perform sub-operations, PS3.4 table C.4-2
