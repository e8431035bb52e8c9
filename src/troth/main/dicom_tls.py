"""TLS of the DICOM door: our certificate, the authorities we believe; nothing plain beyond this machine unasked."""

from __future__ import annotations

import ssl
import sys
from dataclasses import dataclass
from pathlib import Path

from troth.doors.dimse import tls
from troth.kit.errors import Unprocessable
from troth.main.settings import Settings, is_loopback
from troth.main.tls import Renewal

_NAMES = ("dicom_tls_certificate", "dicom_tls_key", "dicom_tls_ca")


@dataclass(frozen=True, slots=True)
class DicomTls:
    """How the DICOM door shows itself.

    Attributes:
        server: To peers that call.
        client: To peers that are called.
        renewal: Loads a renewed certificate into both. Authorities are read once, at the start.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    renewal: Renewal


def dicom_tls(settings: Settings) -> DicomTls | None:
    """The TLS that the settings name, or None where associations are plain.

    Raises:
        Unprocessable: It cannot be used, a part of it is missing, or the listener would be plain beyond this machine.
    """
    files = [getattr(settings, name) for name in _NAMES]
    if all(files):
        chain, key, authorities = map(Path, files)
        try:
            server = tls.server_context(chain, key, authorities)
            client = tls.client_context(chain, key, authorities)
            return DicomTls(server, client, Renewal(chain, key, server, client))
        except (OSError, ValueError) as fault:  # ssl.SSLError is an OSError
            raise Unprocessable(
                f"the certificate {chain} for DICOM cannot be used: {getattr(fault, 'reason', None) or fault}",
                hint="All three are PEM files that the service may read; the key belongs to the first certificate.",
            ) from fault
    if any(files):
        raise Unprocessable("TLS for DICOM is named in part", hint=f"Set {', '.join(_NAMES)}, all three.")
    if not is_loopback(settings.dicom.host) and settings.dicom_plain != "allowed":
        raise Unprocessable(
            f"DICOM would listen on {settings.dicom} without TLS",
            hint=f"Set {', '.join(_NAMES)}, or listen on 127.0.0.1. On a network of its own that nobody else reaches, "
            "set dicom_plain to 'allowed': names and images then travel in the clear.",
        )
    return None


def warn_if_plain(settings: Settings) -> None:
    """Say so where associations travel in the clear beyond this machine."""
    if not settings.dicom_tls_certificate and not is_loopback(settings.dicom.host):
        sys.stderr.write(
            f"troth: WARNING: DICOM listens on {settings.dicom} without TLS (dicom_plain is 'allowed'): names and "
            "images travel in the clear, and a peer is known by its AE title and address alone\n"
        )
