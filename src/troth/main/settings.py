"""Settings: defaults on loopback, then `troth.toml` of the data folder, then `TROTH_*`, then the command line."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from troth.kit.errors import Unprocessable


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener listens; port 0 takes a free one.

    Attributes:
        host: IP address or name; loopback until told otherwise.
        port: TCP port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read "HOST:PORT".

        Raises:
            Unprocessable: It is not of that form.
        """
        host, _, port = text.rpartition(":")
        if not port.isdigit() or int(port) > 65535:
            raise Unprocessable(f"{text!r} is not HOST:PORT", hint="Such as 127.0.0.1:8080")
        return cls(host.strip("[]") or "127.0.0.1", int(port))


PAGES_HERE: Final = "localhost"
VIEWER_HERE: Final = "127.0.0.1"
"""Two names of this machine, of which browsers keep cookies apart."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set. Each field can be set as `TROTH_<FIELD>` or as a key of `troth.toml`.

    Attributes:
        data_dir: Folder of the deployment: database, keys, packs, outbox.
        notice: Notice files or deployment folders in force.
        http: Listener of the pages.
        viewer: Listener of the viewer's own origin.
        dicom: Listener for DICOM associations.
        ae: Our application entity title.
        public_url: How people reach the pages, if not by the listener's address; https switches on HSTS and Secure.
        viewer_url: The same for the viewer's origin; another host name, because browsers share cookies between ports.
        trusted_proxies: Addresses and networks of the proxies in front, with commas between: with a `public_url`, who
            asks is taken from their `X-Forwarded-For`, for the ledger and the limits of sign-in; nobody else's counts.
        database_url: A managed PostgreSQL 17 or later instead of the embedded one.
        smtp: HOST:PORT of the mail server; without it mails go to the outbox folder.
        mail_from: Sender of our mails.
        region: ISO 3166 code of where this node stores.
        tls_certificate: PEM file of the certificate chain of pages and viewer; with it both speak TLS only.
        tls_key: PEM file of its private key.
        dicom_tls_certificate: PEM file of the certificate chain of the DICOM listener; with it, it speaks TLS only.
        dicom_tls_key: PEM file of its private key.
        dicom_tls_ca: PEM file of the certificates that may have signed those of peers.
        dicom_plain: `allowed` lets DICOM travel in the clear beyond this machine; it is refused otherwise.
        checkpoint_file: A file to which the signed checkpoint of the ledger is added, such as on a medium that can be
            written once.
        quarantine_instances: Most instances in conflict that are kept apart for one organisation; 0 keeps none.
        quarantine_gigabytes: Most bytes of them, in GB.
        quarantine_days: After this what nobody resolved is destroyed.
    """

    data_dir: Path
    notice: tuple[Path, ...] = ()
    http: Address = Address("127.0.0.1", 8080)
    viewer: Address = Address("127.0.0.1", 8081)
    dicom: Address = Address("127.0.0.1", 11112)
    ae: str = "TROTH"
    public_url: str = ""
    viewer_url: str = ""
    trusted_proxies: str = "127.0.0.1"
    database_url: str = field(default="", repr=False)
    smtp: str = ""
    mail_from: str = "privacy@troth.invalid"
    region: str = "GB"
    tls_certificate: str = ""
    tls_key: str = ""
    dicom_tls_certificate: str = ""
    dicom_tls_key: str = ""
    dicom_tls_ca: str = ""
    dicom_plain: str = ""
    checkpoint_file: str = ""
    quarantine_instances: int = 10_000
    quarantine_gigabytes: int = 20
    quarantine_days: int = 30

    @property
    def http_url(self) -> str:
        """Address of the pages for people, without a slash at the end."""
        return self.public_url.rstrip("/") or f"{self._scheme}://{_named(self.http, PAGES_HERE)}"

    @property
    def viewer_origin(self) -> str:
        """Address of the viewer for people, without a slash at the end."""
        return self.viewer_url.rstrip("/") or f"{self._scheme}://{_named(self.viewer, VIEWER_HERE)}"

    @property
    def way_of_mails(self) -> str:
        """Where a mail with a sign-in link is found, for whoever started the node."""
        return "it is mailed" if self.smtp else f"no mail server is set, so the mail lies in {self.data_dir / 'outbox'}"

    @property
    def _scheme(self) -> str:
        return "https" if self.tls_certificate else "http"

    @property
    def is_https(self) -> bool:
        """Whether people reach us by https."""
        return self.http_url.startswith("https:")


def _named(address: Address, here: str) -> str:
    """How people reach a listener: here by a name of its own, because cookies know no ports (RFC 6265 8.5)."""
    return f"{here}:{address.port}" if is_loopback(address.host) else str(address)


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def require_names_apart(settings: Settings) -> None:
    """Refuse to start where pages and viewer have one name: they would share cookies, whatever their ports.

    Raises:
        Unprocessable: They have.
    """
    names = urlsplit(settings.http_url).hostname, urlsplit(settings.viewer_origin).hostname
    if names[0] == names[1]:
        raise Unprocessable(
            f"the pages and the viewer would both be known as {names[0]}, and share their cookies",
            hint="Give the viewer a name of its own in the DNS, for the same address, and set viewer_url to it, such "
            "as https://viewer.imaging.example beside public_url https://imaging.example.",
        )


def default_data_dir() -> Path:
    """The system's state folder for root (PostgreSQL's user must pass through), else the user's own."""
    if os.geteuid() == 0:
        return Path("/var/lib/troth/default")
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "troth"


def load(data_dir: Path | None = None, **chosen: Any) -> Settings:
    """Settings from all places; what the command line chose wins.

    Args:
        data_dir: Folder of the deployment, or None for `TROTH_DATA_DIR` or the default.
        **chosen: Values of the command line; None means not chosen.

    Raises:
        Unprocessable: A key is unknown, a value cannot be read, or we are root and a part may have written the file.
    """
    folder = data_dir or Path(os.environ.get("TROTH_DATA_DIR") or default_data_dir())
    known = {each.name for each in fields(Settings)} - {"data_dir"}
    values: dict[str, Any] = {}
    file = folder / "troth.toml"
    if file.exists():
        if os.geteuid() == 0 == folder.stat().st_uid and file.lstat().st_uid != 0:
            raise Unprocessable(
                f"{file} is not root's, in a folder that is",
                hint="Find out who put it there; chown root if it is yours.",
            )
        values.update(tomllib.loads(file.read_text()))
        for key in values.keys() - known:
            raise Unprocessable(f"{file}: unknown setting {key!r}", hint=f"Known are {', '.join(sorted(known))}.")
    for key in known:
        if f"TROTH_{key.upper()}" in os.environ:
            values[key] = os.environ[f"TROTH_{key.upper()}"]
    values.update({key: value for key, value in chosen.items() if value is not None and value != ()})
    for key in ("quarantine_instances", "quarantine_gigabytes", "quarantine_days"):
        if key in values:
            values[key] = _number(key, values[key])
    for key in ("http", "viewer", "dicom"):
        if isinstance(values.get(key), str):
            values[key] = Address.parse(values[key])
    if isinstance(values.get("notice"), str):
        values["notice"] = tuple(Path(part) for part in values["notice"].split(os.pathsep))
    return replace(Settings(folder.absolute()), **values)


def _number(key: str, value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Unprocessable(f"{key} is not a whole number: {text!r}")
    return int(text)


def shipped_notice() -> Path:
    """The example deployment that comes with the package."""
    packaged = Path(__file__).parents[1] / "notices" / "imaging-cloud"
    return packaged if packaged.exists() else Path(__file__).parents[3] / "notices" / "imaging-cloud"
