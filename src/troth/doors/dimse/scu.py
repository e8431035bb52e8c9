"""What we send ourselves: C-ECHO and C-STORE to a peer, with pynetdicom as the client."""

from __future__ import annotations

import io
import ssl
from collections.abc import Sequence

import pydicom
from pynetdicom import AE, build_context
from pynetdicom.association import Association

from troth.doors.dimse.tls import fingerprint

_VERIFICATION = "1.2.840.10008.1.1"
_MOST_CONTEXTS = 128


def send(
    files: Sequence[bytes],
    host: str,
    port: int,
    *,
    calling_ae: str,
    called_ae: str,
    tls: ssl.SSLContext | None = None,
    certificate: str = "",
) -> list[int]:
    """Send Part 10 files over one association. Blocks; run it in a thread.

    Args:
        files: DICOM files as bytes.
        host: The peer.
        port: Its port.
        calling_ae: Our AE title.
        called_ae: Its AE title.
        tls: How we show ourselves and check the peer; None for plain TCP.
        certificate: SHA-256 (hex) of the certificate it must show; empty for any that the authority signed.

    Returns:
        The status of each C-STORE (DICOM PS3.4 B.2.3); 0x0000 is success. -1 where no answer came, and for all files
        when the association was rejected.
    """
    datasets = [pydicom.dcmread(io.BytesIO(file), force=True) for file in files]
    entity = AE(ae_title=calling_ae)
    wanted = {(str(ds.file_meta.MediaStorageSOPClassUID), str(ds.file_meta.TransferSyntaxUID)) for ds in datasets}
    contexts = [build_context(sop_class, syntax) for sop_class, syntax in sorted(wanted)[:_MOST_CONTEXTS]]
    secured = {"tls_args": (tls, None)} if tls is not None else {}
    association = entity.associate(host, port, contexts=contexts, ae_title=called_ae, **secured)  # type: ignore[arg-type]
    if not association.is_established:
        return [-1] * len(files)
    try:
        if certificate and _shown(association) != certificate:
            return [-1] * len(files)
        return [getattr(association.send_c_store(dataset), "Status", -1) for dataset in datasets]
    finally:
        association.release()


def _shown(association: Association) -> str:
    """The certificate that the peer showed."""
    connection = association.dul.socket.socket if association.dul.socket is not None else None
    return fingerprint(connection)


def echo(host: str, port: int, *, calling_ae: str, called_ae: str) -> bool:
    """Whether a peer answers C-ECHO.

    Args:
        host: The peer.
        port: Its port.
        calling_ae: Our AE title.
        called_ae: Its AE title.
    """
    entity = AE(ae_title=calling_ae)
    association = entity.associate(host, port, contexts=[build_context(_VERIFICATION)], ae_title=called_ae)
    if not association.is_established:
        return False
    try:
        return bool(association.send_c_echo().get("Status", -1) == 0)
    finally:
        association.release()
