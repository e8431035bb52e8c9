"""Whose study a page of the clinic is about: name, birth date and number together, to take none for another.

Two of the three at least tell patients apart; a number alone, or a name alone, does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from troth.archive import StudySummary
from troth.doors.web import words
from troth.people import Subject

NO_NAME = "No name"


@dataclass(frozen=True, slots=True)
class PatientLine:
    """A patient, at the head of a page.

    Attributes:
        born: Birth date; empty where none is held.
        number: Patient ID.
    """

    name: str
    born: str
    number: str


def of_study(study: StudySummary) -> PatientLine:
    """The patient of a study, as its images say it."""
    return PatientLine(words.person_name(study.name) or NO_NAME, born(study), study.patient_id)


def of_subject(subject: Subject) -> PatientLine:
    """A patient, as the register of subjects has them."""
    return PatientLine(subject.name or NO_NAME, words.day(subject.demographics.birth_date), subject.patient.patient_id)


def born(study: StudySummary) -> str:
    """Birth date as a list shows it; what is no date is shown as it stands."""
    text = study.birth_date
    if len(text) == 8 and text.isascii() and text.isdigit() and 1 <= int(text[4:6]) <= 12:
        return f"{int(text[6:])} {words.MONTHS[int(text[4:6]) - 1]} {text[:4]}"
    return text
