"""Who and what the demo is about: two organisations, invented people, files of no real person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from troth.dicom.specimens import Study, phantom_cr, phantom_ct, retagged, wheel_ct
from troth.kit.errors import Unprocessable
from troth.main.first_start import seeds
from troth.main.settings import Settings

PATIENT_ID = "77654033"  # used in both organisations on purpose
PATIENT_NAME = "Doe^Archibald"
PATIENT_BORN = date(1950, 4, 1)
OTHER_NAME = "Specimen^Berta"
OTHER_BORN = date(1981, 9, 30)


@dataclass(frozen=True, slots=True)
class Files:
    """The DICOM files of the story.

    Attributes:
        old: A real CT image of 2004 (of pydicom's test files), outside every retention.
        head: A drawn CT of the head, of this year, inside it.
        other: A drawn chest X-ray of another person who bears the same PatientID in the other organisation.
    """

    old: list[bytes]
    head: list[bytes]
    other: list[bytes]


def houses(settings: Settings) -> tuple[str, str]:
    """Names of the two organisations of the story: the first two that the deployment begins with.

    Raises:
        Unprocessable: The deployment begins with fewer.
    """
    names = [seed.name for path in settings.notice for seed in seeds(path if path.is_dir() else path.parent)]
    if len(names) < 2:
        raise Unprocessable("the story needs two organisations", hint="Name two in organisations.yaml.")
    return names[0], names[1]


def operator_house(settings: Settings) -> str:
    """Name of the organisation that runs the service of the story, whose privacy office changes the notice.

    Raises:
        Unprocessable: The deployment begins with none.
    """
    for path in settings.notice:
        for seed in seeds(path if path.is_dir() else path.parent):
            if seed.operates:
                return seed.name
    raise Unprocessable(
        "the story needs whoever runs the service", hint="Write operates: true at one in organisations.yaml."
    )


def files(today: date) -> Files:
    """Make the files; the drawn ones are dated shortly before today."""
    told = {"PatientName": PATIENT_NAME, "PatientID": PATIENT_ID, "PatientBirthDate": f"{PATIENT_BORN:%Y%m%d}"}
    old = [retagged(wheel_ct(), seed=7, StudyDescription="CT chest", **told)]
    head = phantom_ct(
        Study(
            PATIENT_ID, PATIENT_NAME, PATIENT_BORN, "M", today.replace(day=min(today.day, 14)), "EX-5512",
            "CT head without contrast",
        ),
        slices=24,
        size=512,
    )  # fmt: skip
    other = phantom_cr(
        Study(PATIENT_ID, OTHER_NAME, OTHER_BORN, "F", today.replace(day=1), "SC-1027", "Chest, two views", seed=3)
    )
    return Files(old, head, other)
