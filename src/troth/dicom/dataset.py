"""One plain data set as it arrives: its head kept, its bulk checked, counted and passed on."""

from __future__ import annotations

from troth.dicom import syntaxes, tags
from troth.dicom.errors import Malformed, Truncated
from troth.dicom.fragments import Fragments
from troth.dicom.header import Header, build, is_uid
from troth.dicom.walk import LIMITS, Limits, Walker

_FIRST_BYTES = 6
_HELD_BYTES = 1 << 20


class DataSet:
    """Takes the bytes of a data set that is not, or no longer, deflated.

    Args:
        syntax: The transfer syntax it claims, or an empty string to guess.
        limits: What it may cost.
        holds_head: Whether a head of more than 1 MiB is held as well, and not passed on while it comes.

    Attributes:
        head: Bytes before the bulk value, once that is met; what of it was not passed on.
        passed: Bytes of a large head that nobody took yet.
        pending: Bytes from the bulk value on that nobody took yet.
    """

    __slots__ = (
        "_buffer", "_fragments", "_holds_head", "_limits", "_passed_bytes", "_remaining", "_sent", "_syntax", "_tail",
        "_tail_sent", "_tail_walker", "_walker", "head", "passed", "pending",
    )  # fmt: skip

    def __init__(self, syntax: str, limits: Limits, *, holds_head: bool = True) -> None:
        self._syntax = syntax
        self._limits = limits
        self._buffer: bytes | bytearray = b""
        self._walker: Walker | None = None
        self._fragments: Fragments | None = None
        self._tail = bytearray()
        self._tail_sent = 0
        self._tail_walker: Walker | None = None
        self._remaining = 0
        self._sent = 0
        self._holds_head = holds_head
        self._passed_bytes = 0
        self.head: bytes | None = None
        self.passed: list[bytes] = []
        self.pending: list[bytes | memoryview] = []

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            Malformed: A rule of PS3.5 is broken.
        """
        if self.head is not None:
            self._after_head(chunk)
            return
        if not self._buffer:
            self._buffer = chunk
        else:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self._buffer += chunk
        walker = self._walker
        if walker is None:
            if len(self._buffer) < _FIRST_BYTES:
                return
            walker = self._begin()
        walker.walk(self._buffer)
        self._buffer = walker.fill(self._buffer)
        if walker.bulk is not None:
            self._begin_bulk(*walker.bulk, walker.position)
        elif not self._holds_head and len(self._buffer) > _HELD_BYTES:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self.passed.append(walker.pass_on(self._buffer))
            self._passed_bytes += len(self.passed[-1])

    def finish(self) -> Header:
        """End the data set.

        Raises:
            Truncated: Its bytes end before the lengths they announce.
            UidInvalid: A UID that names the instance is missing or breaks the rule.
        """
        walker = self._walker or self._begin()
        head = self.head
        if head is None:
            end = walker.end(self._buffer)
            if end is None:
                raise Truncated("The data set is cut short")
            head = self._close_head(end)
        elif self._remaining or (self._fragments is not None and not self._fragments.is_closed):
            raise Truncated("The pixels are cut short")
        tail = self._tail_walker
        if tail is not None:
            end = tail.end(self._tail)
            if end is None:
                raise Truncated("The elements after the pixels are cut short")
            self._send_tail(end)
        return build(
            syntax=self._syntax,
            walker=walker,
            head=head,
            head_bytes=self._passed_bytes,
            tail=bytes(self._tail[: self._tail_sent]),
            tail_values=tail.values if tail is not None else {},
            bulk_bytes=self._sent,
            fragments=self._fragments,
        )

    def value(self, tag: int) -> str:
        """A UID at the top level, as far as the bytes came and wherever they broke; empty where there is none."""
        if self._walker is None:
            return ""
        self._walker.collect(self._buffer)
        uid = self._walker.values.get(tag, b"").decode("latin-1").strip(" \0")
        return uid if is_uid(uid) else ""

    def _begin(self) -> Walker:
        """Find out how the elements are really written; toolkits do, so what we record must be what they would read."""
        first = bytes(self._buffer[:_FIRST_BYTES])
        says_vr = first[4:6] in tags.SHORT or first[4:6] in tags.LONG
        if not self._syntax:
            is_big = len(first) == _FIRST_BYTES and first[0] == 0 and first[1] != 0
            self._syntax = syntaxes.IMPLICIT_LITTLE
            if says_vr:
                self._syntax = syntaxes.EXPLICIT_BIG if is_big else syntaxes.EXPLICIT_LITTLE
        elif self._syntax == syntaxes.IMPLICIT_LITTLE and says_vr:
            self._syntax = syntaxes.EXPLICIT_LITTLE
        elif self._syntax == syntaxes.EXPLICIT_LITTLE and not says_vr and len(first) == _FIRST_BYTES:
            self._syntax = syntaxes.IMPLICIT_LITTLE
        self._walker = Walker(
            is_explicit=syntaxes.is_explicit(self._syntax),
            is_little=syntaxes.is_little(self._syntax),
            limits=self._limits,
        )
        return self._walker

    def _begin_bulk(self, tag: int, vr: bytes, length: int, start: int) -> None:
        buffer = self._buffer
        if self._walker is not None:
            self._walker.collect(buffer)
        self._close_head(start)
        if length != tags.UNDEFINED:
            self._remaining = length
        elif tag != tags.PIXELS:
            raise Malformed("Only pixels may be encapsulated")
        else:
            self._fragments = Fragments(self._limits.fragments)
        if len(buffer) > start:
            self._after_head(memoryview(buffer)[start:])

    def _after_head(self, chunk: bytes | memoryview) -> None:
        fragments = self._fragments
        if fragments is not None and not fragments.is_closed:
            used = fragments.feed(chunk)
        else:
            used = min(self._remaining, len(chunk))
            self._remaining -= used
        if used:
            self.pending.append(chunk if used == len(chunk) else chunk[:used])
            self._sent += used
        if used < len(chunk):
            self._after_bulk(chunk[used:])

    def _after_bulk(self, chunk: bytes | memoryview) -> None:
        if self._tail_walker is None and self._walker is not None and self._walker.bulk is not None:
            self._tail_walker = Walker(
                is_explicit=syntaxes.is_explicit(self._syntax),
                is_little=syntaxes.is_little(self._syntax),
                limits=self._limits,
                after=self._walker.bulk[0],
            )
        if self._tail_walker is not None:
            for at in range(0, len(chunk), 1 << 20):
                self._tail += chunk[at : at + (1 << 20)]
                self._tail_walker.walk(self._tail)
                self._tail_walker.fill(self._tail)
            # An element that is not whole waits: it may be padding, which is left away.
            padding = self._tail_walker.padding
            self._send_tail(min(self._tail_walker.position, len(self._tail)) if padding is None else padding)

    def _send_tail(self, stop: int) -> None:
        if stop > self._tail_sent:
            self.pending.append(bytes(self._tail[self._tail_sent : stop]))
            self._sent += stop - self._tail_sent
            self._tail_sent = stop

    def _close_head(self, stop: int) -> bytes:
        """The head ends: hold it, or pass the rest of it on where its front was passed on."""
        head = bytes(memoryview(self._buffer)[:stop])
        self._buffer = b""
        self._passed_bytes += len(head)
        if self._passed_bytes > len(head):
            self.passed.append(head)
            head = b""
        self.head = head
        return head


def reopen(head: bytes, syntax: str) -> Header:
    """The header of an instance that is stored already, from its head alone.

    Args:
        head: As `Header.head` gave it.
        syntax: As `Header.syntax` gave it.

    Returns:
        The same header but for tail, fragments and count of bulk bytes, which are in the bulk.
    """
    walker = Walker(is_explicit=syntaxes.is_explicit(syntax), is_little=syntaxes.is_little(syntax), limits=LIMITS)
    walker.walk(head)
    walker.collect(head)
    return build(syntax=syntax, walker=walker, head=head, head_bytes=len(head))
