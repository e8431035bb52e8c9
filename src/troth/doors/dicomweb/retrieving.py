"""WADO-RS: instances, metadata, frames, bulk values and pictures of a study that is open.

Per: DICOM PS3.18 10.4, 8.7.3.5: where no transfer syntax is asked for, what is native and frames go out in Explicit VR
Little Endian; `*` asks for what is stored. Whole instances that are stored compressed go out as they are.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import InstanceRecord, NoPixels, NotStoredThatWay, StoredFrame, Viewing, transcribed
from troth.dicom import part10
from troth.doors import multipart
from troth.doors.dicomweb import ranges
from troth.doors.dicomweb.accept import DICOM, EXPLICIT_LITTLE, OCTETS, XML, Wanted, told_type, wanted
from troth.doors.dicomweb.answers import (
    PRIVATE,
    base_url,
    bytes_answer,
    entity_tag,
    is_known,
    stream_answer,
    xml_answer,
)
from troth.doors.dicomweb.errors import NothingAcceptable
from troth.doors.dicomweb.gate import Gate
from troth.doors.dicomweb.resources import frame_numbers, records_of, related, url_of, viewing_of

Handler = Callable[[Request], Any]

PIXELS = "7FE00010"
_UNCOMPRESSED = frozenset({"1.2.840.10008.1.2", EXPLICIT_LITTLE, "1.2.840.10008.1.2.2"})


def instances(gate: Gate) -> Handler:
    """Instances of a study, a series, or one, as DICOM files."""

    async def handle(http_request: Request) -> Response:
        viewing, records = await records_of(gate, http_request)
        accepted = wanted(http_request)
        for one in accepted:
            as_parts = one.way(DICOM, multipart=len(records) > 1)
            if as_parts is None:
                continue
            syntaxes = [_given(one, record.syntax) for record in records]
            if None in syntaxes:
                continue
            files = [(record, syntax or record.syntax) for record, syntax in zip(records, syntaxes, strict=True)]
            if as_parts:
                return _as_parts(http_request, viewing, files)
            if len(records) == 1:
                ((record, syntax),) = files
                length = viewing.part10_bytes(record) if syntax == record.syntax else None
                content_type = f"{DICOM};transfer-syntax={syntax}"
                return stream_answer(_file(viewing, record, syntax), content_type, length_bytes=length)
        raise _unacceptable(accepted)

    return handle


def metadata(gate: Gate) -> Handler:
    """Everything but bulk values, as DICOM JSON or XML; not sent again to who has it."""

    async def handle(http_request: Request) -> Response:
        media_type = told_type(http_request)
        viewing = await viewing_of(gate, http_request)
        path = http_request.path_params
        described = await viewing.description(path.get("series"), path.get("instance"))
        base = base_url(http_request)
        tag = entity_tag(described.version, base, media_type)
        if is_known(http_request, tag):
            return Response(status_code=304, headers=PRIVATE | {"ETag": tag})
        told = await described.tell(base)
        lines = [one for one in told if isinstance(one, bytes)]
        if len(lines) < len(told):
            if media_type == XML:
                raise NothingAcceptable("There is too much of it for XML; ask for application/dicom+json.")
            return stream_answer(_array(told), media_type, headers={"ETag": tag})
        if media_type == XML:
            return xml_answer(map(json.loads, lines), {"ETag": tag})
        return bytes_answer(b"[" + b",".join(lines) + b"]", media_type, headers={"ETag": tag})

    return handle


async def _array(told: Sequence[bytes | AsyncIterator[bytes]]) -> AsyncIterator[bytes]:
    """The instances of a JSON answer, those that are large piece by piece."""
    for place, one in enumerate(told):
        yield b"," if place else b"["
        if isinstance(one, bytes):
            yield one
        else:
            async for piece in one:
                yield piece
    yield b"]"


def frames(gate: Gate) -> Handler:
    """Frames: little endian and uncompressed, or compressed as they came where that is asked for."""

    async def handle(http_request: Request) -> Response:
        numbers = frame_numbers(http_request.path_params["frames"])
        viewing, (record,) = await records_of(gate, http_request)
        given = _frame_type(wanted(http_request), record)
        url = f"{url_of(base_url(http_request), viewing, record)}/frames"
        content_type = f"{given.media_type};transfer-syntax={given.syntax}"
        if len(numbers) == 1:
            frame = await _frame(viewing, record, numbers[0], given.syntax)
            location = f"{url}/{numbers[0]}"
            if not given.is_multipart and frame.is_whole:
                return bytes_answer(frame.first, content_type, location=location)
            if not given.is_multipart:
                told = {"Content-Location": location}
                return stream_answer(frame.pieces(), content_type, length_bytes=frame.length_bytes, headers=told)
            if frame.is_whole:
                boundary = multipart.new_boundary()
                content = multipart.message(boundary, [(content_type, location, frame.first)])
                return bytes_answer(content, related(given.media_type, boundary))
            return _as_frames(viewing, record, numbers, given, url, frame)
        await viewing.require_frames(record, numbers)
        first = await _frame(viewing, record, numbers[0], given.syntax)
        return _as_frames(viewing, record, numbers, given, url, first)

    return handle


async def _frame(viewing: Viewing, record: InstanceRecord, number: int, syntax: str) -> StoredFrame:
    """A frame in a transfer syntax: as it is stored, or decoded.

    A stored one is read piece by piece. A decoded one is held whole, at most `MOST_PICTURE_BYTES` of the painter for
    each answer that is under way; of several frames one at a time.

    Raises:
        CannotRender: It cannot be decoded here.
    """
    if syntax == record.syntax or record.syntax in _UNCOMPRESSED:
        return await viewing.frame(record, number)
    return StoredFrame.whole(await viewing.rendered(record, [number], media_type=OCTETS))


def bulkdata(gate: Gate) -> Handler:
    """A bulk value that the metadata points to, whole or by a range."""

    async def handle(http_request: Request) -> Response:
        viewing, (record,) = await records_of(gate, http_request)
        path = http_request.path_params["path"]
        base = url_of(base_url(http_request), viewing, record)
        value = await viewing.bulk_value(record, path)
        if value is None:
            given = _frame_type(wanted(http_request), record)
            numbers = range(1, max(record.frames, 1) + 1)
            await viewing.require_frames(record, numbers)
            first = await _frame(viewing, record, 1, given.syntax)
            return _as_frames(viewing, record, numbers, given, f"{base}/frames", first)
        given = _bulk_type(wanted(http_request), record, path)
        location, content_type = f"{base}/bulkdata/{path}", f"{given.media_type};transfer-syntax={given.syntax}"
        if given.is_multipart:
            boundary = multipart.new_boundary()
            content = multipart.streamed(boundary, _one(content_type, location, value.stream()))
            return stream_answer(content, related(given.media_type, boundary))
        told = {"Accept-Ranges": "bytes", "Content-Location": location}
        part = ranges.asked(http_request.headers.get("range"), value.length_bytes)
        start, stop = part or (0, value.length_bytes)
        if part is not None:
            told["Content-Range"] = f"bytes {start}-{stop - 1}/{value.length_bytes}"
        return stream_answer(
            value.stream(start, stop),
            content_type,
            length_bytes=stop - start,
            status=206 if part is not None else 200,
            headers=told,
        )

    return handle


def every_bulk_value(gate: Gate) -> Handler:
    """All values that the metadata of a study, a series or an instance points to, as parts; pixels as their frames.

    Per: DICOM PS3.18 10.4.1.1.5.
    """

    async def handle(http_request: Request) -> Response:
        viewing, records = await records_of(gate, http_request)
        accepted, base = wanted(http_request), base_url(http_request)
        for record in records:
            _frame_type(accepted, record)  # what would be taken is known before anything is given
        while records and not await viewing.bulk_values(records[0]):
            records = records[1:]
        if not records:
            raise NoPixels("There are no bulk values here.")
        boundary = multipart.new_boundary()
        parts = _bulk_parts(viewing, records, accepted, base)
        return stream_answer(multipart.streamed(boundary, parts), related(OCTETS, boundary))

    return handle


async def _bulk_parts(
    viewing: Viewing, records: Sequence[InstanceRecord], accepted: Sequence[Wanted], base: str
) -> AsyncIterator[tuple[str, str, AsyncIterator[bytes]]]:
    for record in records:
        url = url_of(base, viewing, record)
        for path, value in (await viewing.bulk_values(record)).items():
            if value is not None:
                syntax = record.syntax if path == PIXELS and record.syntax in _VIDEO_TYPES else EXPLICIT_LITTLE
                yield f"{OCTETS};transfer-syntax={syntax}", f"{url}/bulkdata/{path}", value.stream()
                continue
            given = _frame_type(accepted, record)
            for number in range(1, max(record.frames, 1) + 1):
                frame = await _frame(viewing, record, number, given.syntax)
                yield f"{given.media_type};transfer-syntax={given.syntax}", f"{url}/frames/{number}", frame.pieces()


def _as_frames(
    viewing: Viewing, record: InstanceRecord, numbers: Sequence[int], given: Wanted, url: str, first: StoredFrame
) -> Response:
    """Frames as the parts of a message, each read when the one before has gone; the first is known to be given."""
    content_type = f"{given.media_type};transfer-syntax={given.syntax}"

    async def parts() -> AsyncIterator[tuple[str, str, AsyncIterator[bytes]]]:
        for place, number in enumerate(numbers):
            frame = await _frame(viewing, record, number, given.syntax) if place else first
            yield content_type, f"{url}/{number}", frame.pieces()

    boundary = multipart.new_boundary()
    return stream_answer(multipart.streamed(boundary, parts()), related(given.media_type, boundary))


async def _one(
    content_type: str, location: str, content: AsyncIterator[bytes]
) -> AsyncIterator[tuple[str, str, AsyncIterator[bytes]]]:
    yield content_type, location, content


def _bulk_type(accepted: Sequence[Wanted], record: InstanceRecord, path: str) -> Wanted:
    """The form to give a bulk value in: octets; of a video, whose value is its stream, also the type of its codec.

    Raises:
        NothingAcceptable: Neither would be taken.
    """
    video = _VIDEO_TYPES.get(record.syntax) if path == PIXELS else None
    syntax = record.syntax if video else EXPLICIT_LITTLE
    for one in accepted:
        for media_type in (OCTETS, video):
            as_parts = one.way(media_type, multipart=True) if media_type else None
            if media_type and as_parts is not None and one.syntax in ("", "*", syntax):
                return Wanted(media_type, as_parts, syntax)
    raise NothingAcceptable


def _given(one: Wanted, held: str) -> str | None:
    """The transfer syntax in which a range gets an instance; None where it takes none that we can give.

    Per: DICOM PS3.18 8.7.3.5.2: Explicit VR Little Endian where nothing is said. Compressed pixels of whole instances
    are not unpacked: those leave as they are held and say so.
    """
    if one.syntax in ("*", held):
        return held
    if one.syntax == "":
        return EXPLICIT_LITTLE if held in _UNCOMPRESSED else held
    return one.syntax if one.syntax == EXPLICIT_LITTLE and held in _UNCOMPRESSED else None


async def _file(viewing: Viewing, record: InstanceRecord, syntax: str) -> AsyncIterator[bytes]:
    if syntax == record.syntax:
        async for chunk in viewing.part10(record):
            yield chunk
        return
    front = part10(record.sop_class, record.instance_uid, syntax)
    async for chunk in transcribed(viewing, record, syntax):
        yield front + chunk if front else chunk
        front = b""


def _as_parts(http_request: Request, viewing: Viewing, files: Sequence[tuple[InstanceRecord, str]]) -> Response:
    boundary = multipart.new_boundary()
    base = base_url(http_request)

    async def parts() -> AsyncIterator[tuple[str, str, AsyncIterator[bytes]]]:
        for record, syntax in files:
            content_type = f"{DICOM};transfer-syntax={syntax}"
            yield content_type, url_of(base, viewing, record), _file(viewing, record, syntax)

    return stream_answer(multipart.streamed(boundary, parts()), related(DICOM, boundary))


def _frame_type(ranges: Sequence[Wanted], record: InstanceRecord) -> Wanted:
    """The form to give frames in.

    Per: DICOM PS3.18 8.7.3.3, 8.7.3.5.2. Octets are uncompressed where nothing is said; compressed frames go out as
    octets with their transfer syntax where that or `*` is asked for, as OHIF does, or under the type of their codec.
    """
    compressed, is_native = _CODEC_TYPES.get(record.syntax), record.syntax in _UNCOMPRESSED
    for one in ranges:
        as_parts = one.way(OCTETS, multipart=True)
        if as_parts is not None:
            if one.syntax in ("*", record.syntax) or one.media_type == "*/*":
                return Wanted(OCTETS, as_parts, EXPLICIT_LITTLE if is_native else record.syntax)
            if one.syntax in ("", EXPLICIT_LITTLE):
                return Wanted(OCTETS, as_parts, EXPLICIT_LITTLE)
        as_parts = one.way(compressed, multipart=True) if compressed else None
        if compressed and as_parts is not None and one.syntax in ("", "*", record.syntax):
            return Wanted(compressed, as_parts, record.syntax)
    raise _unacceptable(ranges)


_CODEC_TYPES = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}


# By the numbers of their transfer syntaxes (PS3.18 8.7.3.3); a fragmentable one is the same stream.
_VIDEO_TYPES = {
    syntax: media_type
    for media_type, numbers in (("video/mpeg2", (100, 101)), ("video/mp4", range(102, 107)), ("video/h265", (107, 108)))
    for number in numbers
    for syntax in (f"1.2.840.10008.1.2.4.{number}", f"1.2.840.10008.1.2.4.{number}.1")
}


def _unacceptable(ranges: Sequence[Wanted]) -> NothingAcceptable | NotStoredThatWay:
    return NotStoredThatWay() if any(one.syntax for one in ranges) else NothingAcceptable()
