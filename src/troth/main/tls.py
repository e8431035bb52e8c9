"""TLS of the pages and of the viewer: one certificate, read again when it is renewed; nothing plain beyond loopback."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from troth.kit.errors import Unprocessable
from troth.main.settings import Settings, is_loopback

_LOOK_SECONDS = 30.0


class Renewal:
    """A certificate with its key that some contexts show, read again when it is renewed.

    Args:
        chain: PEM file of the certificate and those above it.
        key: PEM file of its private key.
        contexts: Where it is loaded; open connections keep the one that they were opened with.

    Raises:
        OSError: The files cannot be read or do not belong together (`ssl.SSLError` is one).
    """

    def __init__(self, chain: Path, key: Path, *contexts: ssl.SSLContext) -> None:
        self._chain = chain
        self._key = key
        self._contexts = contexts
        self._seen = self._changed_at()
        self._load()

    def look(self) -> bool:
        """Read the files again if they changed; what cannot be used leaves the certificate in force as it is.

        Returns:
            Whether a new certificate is shown from now.
        """
        try:
            changed_at = self._changed_at()
            if changed_at == self._seen:
                return False
            self._load()
        except (OSError, ValueError):
            return False
        self._seen = changed_at
        return True

    async def follow(self, stop: asyncio.Event) -> None:
        """Look for a renewed certificate until stopped."""
        while not stop.is_set():
            self.look()
            try:
                await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)
            except TimeoutError:
                continue

    def _changed_at(self) -> tuple[int, int]:
        return self._chain.stat().st_mtime_ns, self._key.stat().st_mtime_ns

    def _load(self) -> None:
        # A context that failed half-way may hold a certificate without its key: try on one that nobody uses.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._chain, self._key)
        for context in self._contexts:
            context.load_cert_chain(self._chain, self._key)


class Certificate(Renewal):
    """What the web listeners show.

    Args:
        chain: PEM file of the certificate and those above it.
        key: PEM file of its private key.

    Raises:
        Unprocessable: The files cannot be read or do not belong together.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        try:
            super().__init__(chain, key, self.context)
        except (OSError, ValueError) as fault:
            raise Unprocessable(
                f"the certificate {chain} with the key {key} cannot be used: {getattr(fault, 'reason', None) or fault}",
                hint="Both are PEM files that the service may read; the key belongs to the first certificate.",
            ) from fault


def certificate(settings: Settings) -> Certificate | None:
    """The certificate that the settings name, or None where the listeners stay on loopback or behind a proxy.

    Raises:
        Unprocessable: It cannot be used, half of it is named, or a listener would be plain beyond this machine.
    """
    if settings.tls_certificate and settings.tls_key:
        return Certificate(Path(settings.tls_certificate), Path(settings.tls_key))
    if settings.tls_certificate or settings.tls_key:
        raise Unprocessable("only half of a certificate is named", hint="Set tls_certificate and tls_key, both.")
    for name in ("http", "viewer"):
        address = getattr(settings, name)
        if not is_loopback(address.host) and not settings.is_https:
            raise Unprocessable(
                f"{name} would listen on {address} without TLS",
                hint="Set tls_certificate and tls_key, or listen on 127.0.0.1; behind a proxy that ends TLS, set "
                "public_url to its https address.",
            )
    return None
