"""Takes one instance as it arrives: scanned, hashed and sealed in passing, memory flat."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakSet

from troth.archive.model import Received
from troth.dicom import Header, Malformed, Scanner, frame_table
from troth.vault import ObjectWriter, Packs


class Receiver:
    """One instance on its way in. Nothing of it is held until `Archive.store` said so.

    Args:
        packs: Where the sealed bytes go.
        syntax: None for a Part 10 stream, else the transfer syntax of a bare dataset (DIMSE).
        discard: Called with locators of finished objects that nobody will store.
        underway: Holds this one until it is finished or aborted.
    """

    def __init__(
        self,
        packs: Packs,
        syntax: str | None,
        discard: Callable[[list[bytes]], None],
        underway: WeakSet[Receiver],
    ) -> None:
        self._packs = packs
        self._scanner = Scanner(syntax, holds_head=False)
        self._discard = discard
        self._underway = underway
        underway.add(self)
        self._head: ObjectWriter | None = None  # of a large head, sealed while it comes
        self._bulk: ObjectWriter | None = None
        self._received: Received | None = None

    def feed(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes.

        Raises:
            troth.dicom.Malformed: They cannot be those of a DICOM instance; the receiver is then of no more use.
        """
        self._scanner.feed(chunk)
        self._take()

    def finish(self) -> Received:
        """The whole has come.

        Returns:
            The instance, sealed and ready for `Archive.store`.

        Raises:
            troth.dicom.Truncated: It has not.
            troth.dicom.UidInvalid: A UID is missing or breaks the rule.
        """
        header = self._scanner.finish()
        self._take()
        head = self._head = self._head or self._packs.writer()
        head.feed(header.head)
        sealed = self._packs.finish([head] if self._bulk is None else [self._bulk, head])
        bulk = sealed[0] if self._bulk is not None else None
        self._head = self._bulk = None
        self._underway.discard(self)
        self._received = Received(header, sealed[-1], bulk, _frame_table(header))
        return self._received

    @property
    def announced(self) -> tuple[str, str]:
        """SOP class and instance that the meta group of a file names; empty where it does not."""
        return self._scanner.announced

    @property
    def named(self) -> tuple[str, str, str, str]:
        """Class, instance, study and series UID as far as they were read, also of what cannot be taken."""
        return self._scanner.named

    def abort(self) -> None:
        """Forget it. May be called at any time, also twice or after `finish`."""
        self._underway.discard(self)
        writers, self._head, self._bulk = (self._head, self._bulk), None, None
        for writer in writers:
            if writer is not None:
                writer.abort()
        received, self._received = self._received, None
        if received is not None:
            self._discard(locators_of(received))

    def _take(self) -> None:
        """Seal what has passed the scanner: of the head, where that is large, and of the bulk."""
        passed = self._scanner.take_head()
        if passed:
            if self._head is None:
                self._head = self._packs.writer()
            self._head.feed(passed)
        if self._scanner.head_ready:
            passed = self._scanner.take_bulk()
            if passed:
                if self._bulk is None:
                    self._bulk = self._packs.writer()
                self._bulk.feed(passed)


def locators_of(received: Received) -> list[bytes]:
    """Where the sealed bytes of a received instance lie."""
    return [sealed.locator for sealed in (received.head, received.bulk) if sealed is not None]


def _frame_table(header: Header) -> bytes:
    """Where the frames are; empty when only the compressed streams tell, which are looked into when they are read."""
    if not header.has_pixels or not header.frames:
        return b""
    try:
        return frame_table(header).to_bytes()
    except Malformed:
        return b""
