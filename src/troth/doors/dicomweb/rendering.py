"""Pictures for people: rendered frames, moving ones and thumbnails.

Per: DICOM PS3.18 10.4.1.1.3, 10.4.1.1.4, 8.3.5 (parameters), 8.7.4 (media types).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from troth.archive import InstanceRecord, NoPixels, Viewing
from troth.dicom import CannotRender
from troth.doors import multipart
from troth.doors.dicomweb.accept import GIF, JPEG, PNG, Wanted, wanted
from troth.doors.dicomweb.answers import base_url, bytes_answer, stream_answer
from troth.doors.dicomweb.documents import document
from troth.doors.dicomweb.errors import NothingAcceptable, ParameterInvalid
from troth.doors.dicomweb.gate import Gate
from troth.doors.dicomweb.resources import frame_numbers, records_of, related, url_of
from troth.kit import numbers

Handler = Callable[[Request], Any]

OFFERED = (JPEG, PNG, GIF)
_THUMBNAIL = (128, 128)
_MOST_MOVING, _MOST_MOVING_PIXELS = 200, 16 << 20
_MOST_PIXELS = 8192
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "linear_exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_ANNOTATIONS = frozenset({"patient", "technique"})
_PROFILES = frozenset({"no", "yes", "srgb"})


def rendered(gate: Gate, *, thumbnail: bool = False) -> Handler:
    """A picture of a frame; of several frames or instances all of them where a multipart message is taken.

    For a study or series and one picture it is the one in the middle.

    Args:
        gate: The gate.
        thumbnail: A small one.
    """

    async def handle(http_request: Request) -> Response:
        accepted, path = wanted(http_request), http_request.path_params
        options = options_of(http_request)
        numbers = frame_numbers(path["frames"]) if "frames" in path else []
        viewing, records = await records_of(gate, http_request)
        if "instance" in path and not thumbnail and (report := await document(viewing, records[0], accepted)):
            return report
        form = chosen_form(accepted)
        pictured = [record for record in records if record.frames]
        if not pictured:
            raise CannotRender
        if thumbnail:
            options["size"] = _THUMBNAIL
        if form.is_multipart and not thumbnail:
            return await _many(http_request, viewing, pictured, numbers, form.media_type, options)
        record = pictured[len(pictured) // 2]
        shown = _shown(record, numbers, form.media_type, is_thumbnail=thumbnail)
        picture = await _picture(viewing, record, shown, form.media_type, options, annotated(http_request))
        return bytes_answer(picture, form.media_type)

    return handle


def chosen_form(ranges: Sequence[Wanted]) -> Wanted:
    """The media type to draw in, and whether in a multipart message.

    Raises:
        NothingAcceptable: None of ours would be taken.
    """
    for one in ranges:
        for as_parts in one.ways():
            for media_type in OFFERED:
                if one.covers(media_type, multipart=as_parts):
                    return Wanted(media_type, as_parts)
    raise NothingAcceptable


def options_of(http_request: Request) -> dict[str, Any]:
    """What the parameters ask of the picture. Per: PS3.18 8.3.5.1.

    Raises:
        ParameterInvalid: One cannot be understood.
    """
    parameters = http_request.query_params
    options: dict[str, Any] = {"quality": quality(parameters.get("quality"))}
    options["window"], options["function"] = window(parameters.get("window"))
    options["size"], options["region"] = viewport(parameters.get("viewport"))
    if (profile := parameters.get("iccprofile", "no").lower()) not in _PROFILES:
        raise ParameterInvalid("iccprofile is no, yes or srgb.")
    del profile  # whatever is asked for, grey and sRGB is what is drawn
    return options


def annotated(http_request: Request) -> frozenset[str]:
    """What is to be written into the picture: `patient`, `technique`, both or nothing.

    Raises:
        ParameterInvalid: Something else is asked for.
    """
    words = http_request.query_params.get("annotation", "").split(",")
    asked = frozenset(word.strip().strip('"').lower() for word in words if word)  # PS3.18 8.3.5.1.1 has them quoted
    if asked - _ANNOTATIONS:
        raise ParameterInvalid("annotation is patient or technique.")
    return asked


def window(text: str | None) -> tuple[tuple[float, float] | None, str]:
    """Centre and width, and the function, of `centre,width[,function]`. Per: PS3.18 8.3.5.1.4."""
    if not text:
        return None, ""
    parts = text.split(",")
    centre, width = numbers.decimal(parts[0]), numbers.decimal(parts[1] if len(parts) > 1 else "")
    if centre is None or width is None or not 0 < width <= 1e9 or len(parts) > 3 or not abs(centre) <= 1e9:
        raise ParameterInvalid("window is centre,width,function.")
    function = _FUNCTIONS.get(parts[2].strip().lower()) if len(parts) == 3 else ""
    if function is None:
        raise ParameterInvalid("The function of a window is linear, linear-exact or sigmoid.")
    return (centre, width), function


def viewport(text: str | None) -> tuple[tuple[int, int] | None, tuple[int, int, int, int] | None]:
    """Size, and the part to show, of `width,height[,left,top,width,height]`. Per: PS3.18 8.3.5.1.3."""
    if not text:
        return None, None
    parts = text.split(",")
    if len(parts) not in (2, 6):
        raise ParameterInvalid("viewport is width,height or width,height,left,top,width,height.")
    told = [numbers.decimal(part) if part.strip() else 0.0 for part in parts]
    sides = [int(side) for side in told if side is not None]
    if len(sides) != len(told):
        raise ParameterInvalid("viewport is made of numbers.")
    if not all(0 < side <= _MOST_PIXELS for side in sides[:2]):
        raise ParameterInvalid(f"viewport is 1 to {_MOST_PIXELS} pixels each way.")
    if len(sides) == 2:
        return (sides[0], sides[1]), None
    left, top, width, height = sides[2:]
    most = 1 << 20
    if left < 0 or top < 0 or max(left, top, abs(width), abs(height)) > most:
        raise ParameterInvalid("The part of a viewport lies within the picture.")
    # A side that is left out reaches to the edge.
    return (sides[0], sides[1]), (left, top, width or most, height or most)


def quality(text: str | None) -> int:
    """JPEG quality. Per: PS3.18 8.3.5.1.2."""
    if not text:
        return 90
    asked = numbers.whole(text, least=1, most=100)
    if asked is None:
        raise ParameterInvalid("quality is 1 to 100.")
    return asked


def notes_of(viewing: Viewing, record: InstanceRecord, asked: frozenset[str]) -> tuple[str, ...]:
    """The lines that an annotation writes. Who may open the study may read them: they are in its metadata."""
    lines: list[str] = []
    study = viewing.study
    if "patient" in asked:
        lines += [study.name.split("=")[0].replace("^", " ").strip(), study.patient_id, study.birth_date]
    if "technique" in asked:
        on = study.study_date.isoformat() if study.study_date else ""
        lines += ["/".join(study.modalities), on, study.description, f"Image {record.number}" if record.number else ""]
    return tuple(line for line in lines if line)


def _shown(record: InstanceRecord, numbers: list[int], media_type: str, *, is_thumbnail: bool) -> list[int]:
    """The frames of one picture: those asked for, else the first; of a clip that is to move, all."""
    if media_type == GIF and not is_thumbnail:
        shown = numbers or list(range(1, record.frames + 1))
        if len(shown) > 1 and shown != list(range(shown[0], shown[0] + len(shown))):
            raise ParameterInvalid("The frames of a moving picture follow one another.")
        # They are drawn together: as many as fit into a bounded memory, whatever their size.
        fitting = _MOST_MOVING_PIXELS // max((record.rows or 1) * (record.columns or 1), 1)
        return shown[: min(_MOST_MOVING, max(fitting, 1))]
    if len(numbers) > 1:
        raise NothingAcceptable("Several frames are sent as multipart/related, or as image/gif.")
    return numbers or [1]


async def _picture(
    viewing: Viewing,
    record: InstanceRecord,
    numbers: Sequence[int],
    media_type: str,
    options: dict[str, Any],
    annotations: frozenset[str] = frozenset(),
) -> bytes:
    notes = notes_of(viewing, record, annotations) if annotations else ()
    return await viewing.rendered(record, numbers, media_type=media_type, notes=notes, **options)


async def _many(
    http_request: Request,
    viewing: Viewing,
    records: Sequence[InstanceRecord],
    numbers: list[int],
    media_type: str,
    options: dict[str, Any],
) -> Response:
    """All pictures as parts; what cannot be drawn is left out, and where nothing can the answer is 406."""
    boundary, base, annotations = multipart.new_boundary(), base_url(http_request), annotated(http_request)
    wanted_frames = [(record, number) for record in records for number in numbers or range(1, record.frames + 1)]
    if numbers:
        await viewing.require_frames(records[0], numbers)
    first: bytes | None = None
    while first is None:
        if not wanted_frames:
            raise CannotRender
        record, number = wanted_frames[0]
        try:
            first = await _picture(viewing, record, [number], media_type, options, annotations)
        except (CannotRender, NoPixels):
            wanted_frames.pop(0)

    async def parts() -> AsyncIterator[tuple[str, str, AsyncIterator[bytes]]]:
        for place, (record, number) in enumerate(wanted_frames):
            try:
                picture = (
                    await _picture(viewing, record, [number], media_type, options, annotations) if place else first
                )
            except (CannotRender, NoPixels):
                continue
            location = f"{url_of(base, viewing, record)}/frames/{number}/rendered"
            yield media_type, location, _once(picture or b"")

    return stream_answer(multipart.streamed(boundary, parts()), related(media_type, boundary))


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
