"""What the DICOM listener takes from a peer, and for how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the DICOM listener. Each is checked before the bytes are held, never after.

    Attributes:
        pdu_bytes: Longest P-DATA-TF body we announce and take.
        association_bytes: Longest body of every other PDU; the most a stranger can make us hold.
        command_bytes: Longest command set of one message.
        dataset_bytes: Longest data set of one C-STORE.
        pending: Sockets that said nothing yet or were turned away; above it the oldest makes room for the newest.
        deciding: Association requests that wait for the answer who the peer is.
        associations: Associations open at once.
        associations_per_peer: Of them for one calling AE title of an organisation.
        associations_kept: Places that each organisation has even when the others have taken all of them.
        associations_in_all: Associations open at once with those; the most that this process bears.
        artim_seconds: Wait for an association request, or for the peer to close (DICOM PS3.8 9.1.5).
        idle_seconds: Wait for the next whole PDU inside an association.
        drain_seconds: How long `stop` lets a running C-STORE end.
        permit_seconds: Age from which a decision is asked for again (what ends a permit is felt within one second).
        private_sop_classes: Also take storage classes outside the DICOM root.
        identifier_bytes: Longest identifier of a search or retrieval, or list of a storage commitment.
        answers: Most matches of one C-FIND.
        retrieved: Most instances of one C-MOVE or C-GET.
        connect_seconds: Wait for a peer that we call.
        response_seconds: Wait for a peer's answer to what we sent.
    """

    pdu_bytes: int = 131_072
    association_bytes: int = 65_536
    command_bytes: int = 16_384
    dataset_bytes: int = 8 << 30
    pending: int = 256
    deciding: int = 64
    associations: int = 100
    associations_per_peer: int = 32
    associations_kept: int = 4
    associations_in_all: int = 200
    artim_seconds: float = 10.0
    idle_seconds: float = 60.0
    drain_seconds: float = 10.0
    permit_seconds: float = 1.0
    private_sop_classes: bool = True
    identifier_bytes: int = 4 << 20
    answers: int = 10_000
    retrieved: int = 100_000
    connect_seconds: float = 10.0
    response_seconds: float = 60.0
