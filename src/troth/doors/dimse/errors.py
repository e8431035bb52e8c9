"""Faults of a peer on the wire. A fault ends the association with A-ABORT; it never carries what was sent."""

from __future__ import annotations

from troth.kit.errors import BadInput, TooLarge, TrothError


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


class UidsDiffer(TrothError):
    """The command or the association names another SOP class or instance than the data set holds."""

    slug = "uids-differ"
    title = "The command names another instance than the data set holds"
    http_status = 409
    dimse_status = 0xA900  # data set does not match SOP class, DICOM PS3.4 B.2.3
