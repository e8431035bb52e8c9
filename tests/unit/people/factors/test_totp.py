"""One-time codes by time, against the vectors of RFC 6238 appendix B and RFC 4226 appendix D."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.common.arrivals import secret_of
from troth.people.factors import totp

SEEDS = {"sha1": b"12345678901234567890", "sha256": b"12345678901234567890123456789012", "sha512": b"1234567890" * 6}
SEEDS["sha512"] += b"1234"
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
COUNTED = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"
NOW = datetime(2026, 11, 30, 12, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "sha1", "sha256", "sha512"), VECTORS)
def test_the_vectors_of_the_rfc(seconds: int, sha1: str, sha256: str, sha512: str) -> None:
    for algorithm, told in (("sha1", sha1), ("sha256", sha256), ("sha512", sha512)):
        assert totp.code_of(SEEDS[algorithm], seconds // 30, 8, algorithm) == told
    assert totp.code_of(SEEDS["sha1"], seconds // 30) == sha1[2:]


@pytest.mark.parametrize(("count", "code"), list(enumerate(COUNTED.split())))
def test_the_vectors_of_codes_by_count(count: int, code: str) -> None:
    assert totp.code_of(SEEDS["sha1"], count) == code


@pytest.mark.parametrize(("away", "is_taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_to_each_side_is_taken(away: int, is_taken: bool) -> None:
    secret, step = totp.new_secret(), totp.step_at(NOW)
    found = totp.matching_step(secret, totp.code_of(secret, step + away), NOW, 0)
    assert found == (step + away if is_taken else None)


def test_no_step_is_taken_twice_nor_one_before_it() -> None:
    secret, step = totp.new_secret(), totp.step_at(NOW)
    assert totp.matching_step(secret, totp.code_of(secret, step), NOW, step) is None
    assert totp.matching_step(secret, totp.code_of(secret, step - 1), NOW, step) is None
    later = NOW + timedelta(seconds=30)
    assert totp.matching_step(secret, totp.code_of(secret, step + 1), later, step) == step + 1


def test_the_key_as_an_app_reads_it() -> None:
    secret = totp.new_secret()
    assert (len(secret), secret_of(totp.in_base32(secret))) == (20, secret)
    address = totp.address(secret, "Example Hospital", "Dr B. Specimen")
    assert address.startswith("otpauth://totp/Example%20Hospital:Dr%20B.%20Specimen?secret=")
    assert address.endswith(f"{totp.in_base32(secret)}&issuer=Example%20Hospital")
