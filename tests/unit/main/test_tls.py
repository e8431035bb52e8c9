"""One certificate for pages and viewer; nothing plain beyond loopback."""

from __future__ import annotations

import os
import shutil
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from tests.common.certificates import self_signed
from troth.kit.errors import Unprocessable
from troth.main.settings import Address, Settings, load
from troth.main.tls import Certificate, certificate

EVERYWHERE = Address("0.0.0.0", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.0.1"])
def test_loopback_needs_none(tmp_path: Path, host: str) -> None:
    assert certificate(Settings(tmp_path, http=Address(host, 0), viewer=Address(host, 0))) is None


@pytest.mark.asvs("V12.2.1", "V12.3.1")
@pytest.mark.parametrize("door", ["http", "viewer"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "archive.example"])
def test_nothing_plain_beyond_loopback(tmp_path: Path, door: str, host: str) -> None:
    settings = replace(Settings(tmp_path), **{door: Address(host, 0)})
    with pytest.raises(Unprocessable, match="without TLS"):
        certificate(settings)
    assert certificate(replace(settings, public_url="https://archive.example")) is None
    with pytest.raises(Unprocessable, match="without TLS"):
        certificate(replace(settings, public_url="http://archive.example"))


@pytest.mark.asvs("V12.1.1")
def test_a_certificate_opens_the_door_beyond(tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path)
    settings = Settings(tmp_path, http=EVERYWHERE, tls_certificate=str(chain), tls_key=str(key))
    shown = certificate(settings)
    assert shown is not None
    assert shown.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert settings.is_https
    assert settings.http_url.startswith("https://")
    assert settings.viewer_origin.startswith("https://")


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path)
    for half in ({"tls_certificate": str(chain)}, {"tls_key": str(key)}):
        with pytest.raises(Unprocessable, match="half"):
            certificate(replace(Settings(tmp_path), **half))


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    chain, _ = self_signed(tmp_path, "one.example")
    _, other = self_signed(tmp_path, "two.example")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no certificate")
    for files in ((chain, other), (nothing, other), (tmp_path / "absent.pem", other), (chain, tmp_path)):
        with pytest.raises(Unprocessable, match="cannot be used"):
            Certificate(*files)


def test_a_renewed_certificate_is_shown(tmp_path: Path) -> None:
    chain, key = self_signed(tmp_path, "one.example")
    shown = Certificate(chain, key)
    assert not shown.look()
    later = tmp_path / "later"
    later.mkdir()
    new_chain, new_key = self_signed(later, "one.example")
    shutil.copy(new_chain, chain)
    os.utime(chain, ns=(1, 1))
    assert not shown.look(), "half-way through a renewal the old one stays"
    shutil.copy(new_key, key)
    os.utime(key, ns=(2, 2))
    assert shown.look()
    assert not shown.look()


def test_settings_of_the_folder_name_it(tmp_path: Path) -> None:
    (tmp_path / "troth.toml").write_text('tls_certificate = "/etc/troth/chain.pem"\ntls_key = "/etc/troth/key.pem"\n')
    settings = load(tmp_path)
    assert (settings.tls_certificate, settings.tls_key) == ("/etc/troth/chain.pem", "/etc/troth/key.pem")
