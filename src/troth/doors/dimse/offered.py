"""What this door offers, in one place: negotiation, the services and the conformance statement read it here.

Per: DICOM PS3.4 Annexes A, B, C, J; PS3.6 Annex A for the names.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from troth.doors.dimse import command

Root = Literal["patient", "study"]

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"  # the well-known SOP instance of the class, PS3.4 J.3.5

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
ENCAPSULATED_ARC = "1.2.840.10008.1.2.4."
# these carry a link to pixels held elsewhere: there is nothing we could keep
REFERENCED = frozenset(ENCAPSULATED_ARC + last for last in ("94", "95", "204", "205"))

DICOM_ROOT = "1.2.840.10008."
# every class that DICOM registers below this arc is a storage class, so tomorrow's are taken too (PS3.4 B.5)
STORAGE_ARC = "1.2.840.10008.5.1.4.1.1."
STORAGE_ELSEWHERE = frozenset({"1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.34.10"})

#: Messages without pixels are read and written in these, the first one that the peer names.
PLAIN_SYNTAXES = (IMPLICIT_LITTLE, EXPLICIT_LITTLE)


@dataclass(frozen=True, slots=True)
class Offer:
    """One SOP class that we provide (SCP).

    Attributes:
        name: As PS3.6 has it.
        field: Command field of the request that the peer sends.
        root: Information model of a query or retrieval.
    """

    sop_class: str
    name: str
    field: int
    root: Root | None = None


_ARC = "1.2.840.10008.5.1.4.1.2."

#: Every class that is provided besides the storage classes, which `negotiation.is_storage_class` knows.
OFFERS = MappingProxyType(
    {
        offer.sop_class: offer
        for offer in (
            Offer(VERIFICATION, "Verification", command.C_ECHO_RQ),
            Offer(_ARC + "1.1", "Patient Root Query/Retrieve - FIND", command.C_FIND_RQ, "patient"),
            Offer(_ARC + "1.2", "Patient Root Query/Retrieve - MOVE", command.C_MOVE_RQ, "patient"),
            Offer(_ARC + "1.3", "Patient Root Query/Retrieve - GET", command.C_GET_RQ, "patient"),
            Offer(_ARC + "2.1", "Study Root Query/Retrieve - FIND", command.C_FIND_RQ, "study"),
            Offer(_ARC + "2.2", "Study Root Query/Retrieve - MOVE", command.C_MOVE_RQ, "study"),
            Offer(_ARC + "2.3", "Study Root Query/Retrieve - GET", command.C_GET_RQ, "study"),
            Offer(STORAGE_COMMITMENT, "Storage Commitment Push Model", command.N_ACTION_RQ),
        )
    }
)

#: Requests that are answered at length by a service, while the peer may say stop.
SERVED_FIELDS = frozenset(offer.field for offer in OFFERS.values()) - {command.C_ECHO_RQ}
