"""TLS of DICOM associations: both sides show a certificate.

Per: DICOM PS3.15 B.12 (BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile).
"""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import Any

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(chain: Path, key: Path, authorities: Path) -> ssl.SSLContext:
    """How the listener shows itself; a peer without a certificate of one of the authorities gets no connection.

    Args:
        chain: PEM file of our certificate and those above it.
        key: PEM file of its private key.
        authorities: PEM file of the certificates that may have signed a peer's; a peer's own, if it signed itself.

    Raises:
        OSError: A file cannot be read or used (`ssl.SSLError` is one).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _bounded(context, chain, key, authorities)


def client_context(chain: Path, key: Path, authorities: Path) -> ssl.SSLContext:
    """How we show ourselves to peers that we call, and whom we believe.

    DICOM nodes are known by address: the name in a certificate is not compared, its fingerprint is (`Requestor`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _bounded(context, chain, key, authorities)


def fingerprint(connection: Any) -> str:
    """SHA-256 (hex) of the certificate that the other side showed; empty without TLS.

    Args:
        connection: An `ssl.SSLObject`, or None.
    """
    shown = connection.getpeercert(binary_form=True) if connection is not None else None
    return hashlib.sha256(shown).hexdigest() if shown else ""


def fingerprint_of(pem: str) -> str:
    """The same of the first certificate in a PEM text.

    Raises:
        ValueError: There is none.
    """
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[pem.index("-----BEGIN CERTIFICATE") :])).hexdigest()


def _bounded(context: ssl.SSLContext, chain: Path, key: Path, authorities: Path) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.load_cert_chain(chain, key)
    context.load_verify_locations(authorities)
    return context
