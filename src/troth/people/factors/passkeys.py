"""Passkeys: what a browser is asked to sign, and whether it did.

Per: W3C Web Authentication Level 3, 7.1 and 7.2. User verification is required: the device asks for a finger, a face
or its own PIN, so a stolen device alone is no factor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from fido2.server import Fido2Server
from fido2.utils import websafe_encode
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

MOST_BYTES: Final = 8_192
"""Of an answer of a browser, as JSON."""


class PasskeyRefused(Exception):
    """What the browser sent does not prove a passkey."""


class Party:
    """The relying party: these pages, by the name that people know them by.

    Args:
        origin: Of the pages. Browsers take no IP address as the name of a relying party.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._name = urlsplit(origin).hostname or ""
        entity = PublicKeyCredentialRpEntity(id=self._name, name="Troth")
        self._server = Fido2Server(entity, verify_origin=lambda asked: asked == self._origin)

    @property
    def is_possible(self) -> bool:
        """Whether browsers make passkeys for this name."""
        try:
            ip_address(self._name)
        except ValueError:
            return bool(self._name)
        return False

    def creation(self, nonce: bytes, handle: bytes, name: str, held: Sequence[bytes]) -> str:
        """What the browser is asked for to make a passkey, as JSON.

        Args:
            nonce: Random bytes that are asked for once.
            handle: Of the account, told back when the passkey is used.
            name: What the device shows.
            held: The credentials that there are already.
        """
        user = PublicKeyCredentialUserEntity(id=handle, name=name, display_name=name)
        options, _ = self._server.register_begin(
            user,
            [AttestedCredentialData(each) for each in held],
            resident_key_requirement=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
            challenge=nonce,
        )
        return json.dumps(dict(options.public_key))

    def request(self, nonce: bytes, held: Sequence[bytes]) -> str:
        """What the browser is asked to sign, as JSON.

        Args:
            nonce: Random bytes that are asked for once.
            held: The credentials of the account; none where it is not known yet.
        """
        options, _ = self._server.authenticate_begin(
            [AttestedCredentialData(each) for each in held] or None,
            user_verification=UserVerificationRequirement.REQUIRED,
            challenge=nonce,
        )
        return json.dumps(dict(options.public_key))

    def made(self, nonce: bytes, answer: str) -> bytes:
        """The credential that a browser made: its id and public key.

        Raises:
            PasskeyRefused: It does not fit what was asked.
        """
        try:
            proved = self._server.register_complete(_state(nonce), RegistrationResponse.from_dict(_read(answer)))
        except Exception as fault:  # noqa: BLE001 - the library raises whatever its parsers raise
            raise PasskeyRefused(type(fault).__name__) from None
        if proved.credential_data is None:
            raise PasskeyRefused("no credential")
        return bytes(proved.credential_data)

    def told(self, answer: str) -> tuple[bytes, bytes]:
        """Whose passkey a browser says it used, and what it says it was asked; both to be proved.

        Returns:
            The handle of the account, as `creation` gave it to the device, and the question.

        Raises:
            PasskeyRefused: It says neither.
        """
        try:
            told = AuthenticationResponse.from_dict(_read(answer)).response
            return bytes(told.user_handle or b""), bytes(told.client_data.challenge)
        except Exception as fault:  # noqa: BLE001
            raise PasskeyRefused(type(fault).__name__) from None

    def proved(self, nonce: bytes, held: Sequence[bytes], answer: str) -> tuple[int, int]:
        """Which of the credentials signed, and its counter.

        Returns:
            Its place in `held`, and the signature counter that the device told.

        Raises:
            PasskeyRefused: None did, or not what was asked.
        """
        known = [AttestedCredentialData(each) for each in held]
        try:
            told = AuthenticationResponse.from_dict(_read(answer))
            used = self._server.authenticate_complete(_state(nonce), known, told)
        except Exception as fault:  # noqa: BLE001
            raise PasskeyRefused(type(fault).__name__) from None
        return known.index(used), told.response.authenticator_data.counter


def _state(nonce: bytes) -> dict[str, Any]:
    return {"challenge": websafe_encode(nonce), "user_verification": UserVerificationRequirement.REQUIRED}


def _read(answer: str) -> Mapping[str, Any]:
    if len(answer) > MOST_BYTES:
        raise ValueError("too long")
    content = json.loads(answer)
    if not isinstance(content, dict):
        raise TypeError("no object")
    return content
