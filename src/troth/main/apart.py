"""What the parts of a node need of root once they are not root: keys of certificates, files, a way to Python."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from troth.kit import owner, passage
from troth.kit.errors import Conflict
from troth.kit.programs import unprivileged_account
from troth.main.settings import Settings
from troth.notice import notice_files

_PEM: Final = ("tls_certificate", "tls_key", "dicom_tls_certificate", "dicom_tls_key", "dicom_tls_ca")


class OneUser(Conflict):
    """Parts and database would run as one user."""

    slug = "one-user"
    title = "The parts and the database need a user each"


class Certificates:
    """The PEM files that the settings name, in memory that the parts were handed to read, and renewed there.

    A key is often for root alone. The parent reads it; the parts see a file that only they can reach, and that changes
    when the parent's does, so they load a renewed certificate as ever.

    Args:
        settings: Of the node.
        account: The user of the parts.

    Raises:
        OSError: A file cannot be read.
    """

    def __init__(self, settings: Settings, account: pwd.struct_passwd) -> None:
        self._sources = {name: Path(file) for name in _PEM if (file := getattr(settings, name))}
        self._seen = {name: self._changed_at(name) for name in self._sources}
        self._written: dict[str, int] = {}
        self._read: dict[str, int] = {}
        for name in self._sources:
            memory = os.memfd_create(f"troth-{name}", os.MFD_CLOEXEC)
            os.fchown(memory, 0, account.pw_gid)
            os.fchmod(memory, 0o440)
            self._written[name] = memory
            self._read[name] = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
            self._copy(name)

    def handed(self, settings: Settings) -> Settings:
        """The settings for a part."""
        paths: dict[str, Any] = {name: f"/proc/self/fd/{fd}" for name, fd in self._read.items()}
        return replace(settings, **paths)

    def look(self) -> None:
        """Copy what was renewed; the parts refuse what does not fit together, and look again."""
        for name in self._sources:
            with suppress(OSError):
                changed_at = self._changed_at(name)
                if changed_at != self._seen[name]:
                    self._copy(name)
                    self._seen[name] = changed_at

    def drop(self, *, is_all: bool = False) -> None:
        """In another process: keep what reads alone, or nothing."""
        for memory in (*self._written.values(), *(self._read.values() if is_all else ())):
            os.close(memory)

    def _copy(self, name: str) -> None:
        content = self._sources[name].read_bytes()
        os.ftruncate(self._written[name], 0)
        os.pwrite(self._written[name], content, 0)

    def _changed_at(self, name: str) -> int:
        return self._sources[name].stat().st_mtime_ns


class Apart:
    """The user of the parts, and what they are given.

    Args:
        settings: Of the node.
        account: Whom they become.
    """

    def __init__(self, settings: Settings, account: pwd.struct_passwd) -> None:
        self._account = account
        self._needed = [*passage.of_python(), *settings.notice]
        self.certificates = Certificates(settings, account)

    @classmethod
    def of(cls, settings: Settings) -> Apart | None:
        """Of a node that root starts; None for any other, whose parts are whoever started it.

        The data folder is handed over on the way, and everything tried before a part depends on it.

        Raises:
            troth.kit.owner.OwnerUnusable: The parts could not do their work as that user; nothing runs as root instead.
            OneUser: It is the database's user.
        """
        account = owner.service_account(settings.data_dir)
        if account is None:
            return None
        if not settings.database_url and unprivileged_account().pw_uid == account.pw_uid:
            raise OneUser(
                f"the database runs as user {account.pw_uid}, too", hint="Set TROTH_SERVICE_USER to another one."
            )
        owner.share(settings.data_dir, account)
        owner.hand_over(settings.data_dir, account)
        apart = cls(settings, account)
        read = [Path(os.__file__), Path(__file__), settings.data_dir, *notice_files(settings.notice)]
        written = [Path(settings.checkpoint_file)] if settings.checkpoint_file else []
        passage.require(account, apart._needed, read, [settings.data_dir, *written])
        return apart

    def settings(self, settings: Settings) -> Settings:
        """The settings for a part."""
        return self.certificates.handed(settings)

    def become(self) -> None:
        """Step down, in a part, for good."""
        self.certificates.drop()
        passage.open_for(self._account, self._needed)
        owner.become(self._account)

    def become_reader(self) -> None:
        """Become the database's user instead, for good: in the process that looks at its raw pages."""
        self.certificates.drop(is_all=True)
        owner.become(unprivileged_account())
