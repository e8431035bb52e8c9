"""What the address of a request names: a study, a series, an instance, frames of it."""

from __future__ import annotations

from starlette.requests import Request

from troth.archive import InstanceRecord, NoPixels, Viewing
from troth.doors.dicomweb.errors import ParameterInvalid
from troth.doors.dicomweb.gate import Gate, checked
from troth.kit import numbers

_MOST_FRAMES = 4096


async def viewing_of(gate: Gate, http_request: Request) -> Viewing:
    """The caller's viewing of the study that an address names.

    Raises:
        NotFound: Something in the address is no UID.
        PermitDenied: There is no such study for this caller.
    """
    path = http_request.path_params
    for name in ("series", "instance"):
        if name in path:
            checked(path[name])
    return await gate.viewing(http_request, path["study"])


async def records_of(gate: Gate, http_request: Request) -> tuple[Viewing, list[InstanceRecord]]:
    """The viewing, and the instances that an address names."""
    viewing = await viewing_of(gate, http_request)
    path = http_request.path_params
    if "instance" in path:
        return viewing, [await viewing.instance(path["instance"], path.get("series"))]
    return viewing, await viewing.instances(path.get("series"))


def url_of(base: str, viewing: Viewing, record: InstanceRecord) -> str:
    """Where an instance lies.

    Args:
        base: URL under which `/studies` lies.
        viewing: Of its study.
        record: The instance.
    """
    return f"{base}/studies/{viewing.study.study_uid}/series/{record.series_uid}/instances/{record.instance_uid}"


def related(media_type: str, boundary: str) -> str:
    """Content-Type of a message whose parts are of one type."""
    return f'multipart/related; type="{media_type}"; boundary="{boundary}"'


def frame_numbers(text: str) -> list[int]:
    """Frame numbers of a list, separated by commas.

    Raises:
        ParameterInvalid: They are none.
        NoPixels: They count from nought.
    """
    told = [numbers.whole(one, most=99_999_999) for one in text.split(",", _MOST_FRAMES)]
    asked = [one for one in told if one is not None]
    if len(told) > _MOST_FRAMES or len(asked) != len(told):
        raise ParameterInvalid("Frames are a list of whole numbers.")
    if 0 in asked:
        raise NoPixels
    return asked
