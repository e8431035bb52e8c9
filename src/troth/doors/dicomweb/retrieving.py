"""WADO-RS: instances, metadata, frames, bulk values and pictures of a study that is open.

Per: DICOM PS3.18 10.4. Instances go out in the transfer syntax in which they are stored; one that asks for another is
answered 406.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import InstanceRecord, NoPixels, NotStoredThatWay, Viewing
from troth.dicom import CannotRender
from troth.doors.dicomweb import multipart
from troth.doors.dicomweb.accept import (
    DICOM,
    EXPLICIT_LITTLE,
    GIF,
    JPEG,
    OCTETS,
    PNG,
    Wanted,
    chosen,
    json_type,
    wanted,
)
from troth.doors.dicomweb.answers import PRIVATE, base_url, bytes_answer, entity_tag, is_known, stream_answer
from troth.doors.dicomweb.errors import NothingAcceptable, ParameterInvalid
from troth.doors.dicomweb.gate import Gate, checked

Handler = Callable[[Request], Any]

_UNCOMPRESSED = frozenset({"1.2.840.10008.1.2", EXPLICIT_LITTLE, "1.2.840.10008.1.2.2"})
_MOST_FRAMES = 4096
_THUMBNAIL = (128, 128)


def instances(gate: Gate) -> Handler:
    """Instances of a study, a series, or one, as DICOM files."""

    async def handle(http_request: Request) -> Response:
        viewing, records = await _records(gate, http_request)
        ranges = wanted(http_request)
        for one in ranges:
            if not one.covers(DICOM):
                continue
            if any(not _is_given(one, record.syntax) for record in records):
                continue
            if one.is_multipart or (one.media_type == "*/*" and len(records) > 1):
                return _as_parts(http_request, viewing, records)
            if len(records) == 1:
                (record,) = records
                content_type = f"{DICOM};transfer-syntax={record.syntax}"
                return stream_answer(viewing.part10(record), content_type, length_bytes=viewing.part10_bytes(record))
        raise _unacceptable(ranges)

    return handle


def metadata(gate: Gate) -> Handler:
    """Everything but bulk values, as DICOM JSON; not sent again to who has it."""

    async def handle(http_request: Request) -> Response:
        media_type = json_type(http_request)
        viewing = await _viewing(gate, http_request)
        path = http_request.path_params
        described = await viewing.description(path.get("series"), path.get("instance"))
        base = base_url(http_request)
        tag = entity_tag(described.version, base, media_type)
        if is_known(http_request, tag):
            return Response(status_code=304, headers=PRIVATE | {"ETag": tag})
        content = b"[" + b",".join(await described.tell(base)) + b"]"
        return bytes_answer(content, media_type, headers={"ETag": tag})

    return handle


def frames(gate: Gate) -> Handler:
    """Frames as they are stored: native ones little endian, compressed ones as they came."""

    async def handle(http_request: Request) -> Response:
        numbers = _frame_numbers(http_request.path_params["frames"])
        viewing, (record,) = await _records(gate, http_request)
        ranges = wanted(http_request)
        given = _frame_type(ranges, record)
        content = await viewing.frames(record, numbers)
        url = f"{_url(base_url(http_request), viewing, record)}/frames"
        if not given.is_multipart and len(content) == 1:
            return bytes_answer(content[0], _typed(given.media_type, record), location=f"{url}/{numbers[0]}")
        boundary = multipart.new_boundary()
        parts = [
            (_typed(given.media_type, record), f"{url}/{number}", frame)
            for number, frame in zip(numbers, content, strict=True)
        ]
        return bytes_answer(multipart.message(boundary, parts), _related(given.media_type, boundary))

    return handle


def bulkdata(gate: Gate) -> Handler:
    """A bulk value that the metadata points to."""

    async def handle(http_request: Request) -> Response:
        viewing, (record,) = await _records(gate, http_request)
        given = _frame_type(wanted(http_request), record)
        path = http_request.path_params["path"]
        content = await viewing.bulkdata(record, path)
        url = f"{_url(base_url(http_request), viewing, record)}/bulkdata/{path}"
        if not given.is_multipart and len(content) == 1:
            return bytes_answer(content[0], _typed(given.media_type, record), location=url)
        boundary = multipart.new_boundary()
        parts = [(_typed(given.media_type, record), url, value) for value in content]
        return bytes_answer(multipart.message(boundary, parts), _related(given.media_type, boundary))

    return handle


def rendered(gate: Gate, *, thumbnail: bool = False) -> Handler:
    """A picture of a frame, for people; of a study or series the picture of its middle instance.

    Args:
        gate: The gate.
        thumbnail: A small one.
    """

    async def handle(http_request: Request) -> Response:
        media_type = chosen(wanted(http_request), (JPEG, PNG, GIF))
        parameters = http_request.query_params
        numbers = _frame_numbers(http_request.path_params.get("frames", "1"))
        viewing, records = await _records(gate, http_request)
        pictured = [record for record in records if record.frames]
        if not pictured or len(numbers) != 1:
            raise CannotRender
        picture = await viewing.rendered(
            pictured[len(pictured) // 2],
            numbers,
            media_type=media_type,
            window=_window(parameters.get("window")),
            size=_THUMBNAIL if thumbnail else _viewport(parameters.get("viewport")),
            quality=_quality(parameters.get("quality")),
        )
        return bytes_answer(picture, media_type)

    return handle


async def _viewing(gate: Gate, http_request: Request) -> Viewing:
    path = http_request.path_params
    for name in ("series", "instance"):
        if name in path:
            checked(path[name])
    return await gate.viewing(http_request, path["study"])


async def _records(gate: Gate, http_request: Request) -> tuple[Viewing, list[InstanceRecord]]:
    viewing = await _viewing(gate, http_request)
    path = http_request.path_params
    if "instance" in path:
        return viewing, [await viewing.instance(path["instance"], path.get("series"))]
    return viewing, await viewing.instances(path.get("series"))


def _is_given(one: Wanted, syntax: str) -> bool:
    """Whether a range takes what is stored.

    Where no transfer syntax is asked for, PS3.18 8.7.3.5 prefers Explicit VR Little Endian. We do not transcode: the
    stored one goes out and says which it is.
    """
    return one.syntax in ("", "*", syntax)


def _as_parts(http_request: Request, viewing: Viewing, records: Sequence[InstanceRecord]) -> Response:
    boundary = multipart.new_boundary()
    base = base_url(http_request)

    async def parts() -> AsyncIterator[tuple[str, str, AsyncIterator[bytes]]]:
        for record in records:
            content_type = f"{DICOM};transfer-syntax={record.syntax}"
            yield content_type, _url(base, viewing, record), viewing.part10(record)

    return stream_answer(multipart.streamed(boundary, parts()), _related(DICOM, boundary))


def _frame_type(ranges: Sequence[Wanted], record: InstanceRecord) -> Wanted:
    """The form to give frames in.

    Per: DICOM PS3.18 8.7.3.3. Compressed frames go out as octets with their transfer syntax, as OHIF asks for them, or
    under the type of their codec.
    """
    compressed = _CODEC_TYPES.get(record.syntax)
    for one in ranges:
        if one.covers(OCTETS):
            is_explicit = record.syntax in _UNCOMPRESSED and one.syntax in ("", EXPLICIT_LITTLE)
            is_any = one.syntax in ("*", record.syntax) or one.media_type == "*/*"
            if is_explicit or is_any:
                return Wanted(OCTETS, one.is_multipart or one.media_type == "*/*", one.syntax)
        if compressed and one.covers(compressed) and one.syntax in ("", "*", record.syntax):
            return Wanted(compressed, one.is_multipart or one.media_type == "*/*", record.syntax)
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


def _typed(media_type: str, record: InstanceRecord) -> str:
    syntax = EXPLICIT_LITTLE if record.syntax in _UNCOMPRESSED else record.syntax
    return f"{media_type};transfer-syntax={syntax}"


def _related(media_type: str, boundary: str) -> str:
    return f'multipart/related; type="{media_type}"; boundary="{boundary}"'


def _unacceptable(ranges: Sequence[Wanted]) -> NothingAcceptable | NotStoredThatWay:
    return NotStoredThatWay() if any(one.syntax for one in ranges) else NothingAcceptable()


def _url(base: str, viewing: Viewing, record: InstanceRecord) -> str:
    return f"{base}/studies/{viewing.study.study_uid}/series/{record.series_uid}/instances/{record.instance_uid}"


def _frame_numbers(text: str) -> list[int]:
    """Frame numbers of a list, separated by commas.

    Raises:
        ParameterInvalid: They are none.
    """
    numbers = text.split(",")
    if len(numbers) > _MOST_FRAMES or not all(one.isascii() and one.isdecimal() and len(one) < 9 for one in numbers):
        raise ParameterInvalid("Frames are a list of whole numbers.")
    if "0" in (one.lstrip("0") or "0" for one in numbers):
        raise NoPixels
    return [int(one) for one in numbers]


def _window(text: str | None) -> tuple[float, float] | None:
    """Centre and width of `centre,width[,function]`. Per: PS3.18 8.3.5.1.4."""
    if not text:
        return None
    parts = text.split(",")
    try:
        centre, width = float(parts[0]), float(parts[1])
    except (ValueError, IndexError):
        raise ParameterInvalid("window is centre,width.") from None
    if not width > 0 or len(parts) > 3 or abs(centre) > 1e9 or width > 1e9:
        raise ParameterInvalid("window is centre,width.")
    return centre, width


def _viewport(text: str | None) -> tuple[int, int] | None:
    """Width and height of `width,height`. Per: PS3.18 8.3.5.1.3; parts of an image are not cut out."""
    if not text:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.isascii() and part.isdecimal() and 0 < len(part) < 6 for part in parts):
        raise ParameterInvalid("viewport is width,height.")
    width, height = int(parts[0]), int(parts[1])
    if not 0 < width <= 8192 or not 0 < height <= 8192:
        raise ParameterInvalid("viewport is 1 to 8192 pixels each way.")
    return width, height


def _quality(text: str | None) -> int:
    if not text:
        return 90
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:4]) <= 100:
        raise ParameterInvalid("quality is 1 to 100.")
    return int(text)
