"""Bytes that are handed out only while they are what was stored."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

from troth.archive.errors import StoredBytesBroken

_INLINE_BYTES = 1 << 20  # under a millisecond; the way to a thread and back costs as much


async def checked(chunks: AsyncIterator[bytes], sha256: bytes) -> AsyncIterator[bytes]:
    """The same chunks; the last one is kept back until the digest of all of them is right.

    The seal of each segment is checked before a byte of it is given, so what comes before the last chunk is right in
    itself; this makes sure that nobody takes for whole what is not the object that was stored.

    Args:
        chunks: Plain bytes of an object.
        sha256: Of all of them.

    Raises:
        StoredBytesBroken: They are not what was stored.
    """
    digest, last = hashlib.sha256(), None
    async for chunk in chunks:
        if last is not None:
            yield last
        if len(chunk) > _INLINE_BYTES:
            await asyncio.to_thread(digest.update, chunk)
        else:
            digest.update(chunk)
        last = chunk
    if digest.digest() != sha256:
        raise StoredBytesBroken
    if last is not None:
        yield last


async def checked_whole(content: bytes, sha256: bytes) -> bytes:
    """The same bytes, if they are what was stored.

    Raises:
        StoredBytesBroken: They are not.
    """
    if len(content) > _INLINE_BYTES:
        found = (await asyncio.to_thread(hashlib.sha256, content)).digest()
    else:
        found = hashlib.sha256(content).digest()
    if found != sha256:
        raise StoredBytesBroken
    return content
