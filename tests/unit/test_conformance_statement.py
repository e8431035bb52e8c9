"""The statement says what the code and its tests say now, and every line of it is shown by a test."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

import pytest
from tools import conformance
from tools.statement import checklist, network, web
from tools.statement.model import Fact, shown

from troth import archive, dicom
from troth.archive import errors as archive_errors
from troth.dicom import errors as bytes_errors
from troth.doors.dicomweb import errors as web_errors
from troth.doors.dimse import errors as network_errors
from troth.kit.errors import TrothError

FACTS = conformance.every_fact()
TOLD = shown(FACTS)
AGAIN = "run `make conformance`"
#: Faults that no answer of DICOM or DICOMweb carries, and why.
INSIDE = {
    archive.StudyNotFound: "looks like a denied permit", archive.WrongPermit: "a mistake of ours",
    archive.PermitExpired: "looks like a denied permit", archive.SourceRefused: "of the command line",
    archive.UpkeepRunning: "of the command line", archive.StoredBytesBroken: "a failure of ours",
    archive.CannotResolve: "of the pages", archive.QuarantineGone: "of the pages",
    archive.InstanceRefused: "what the refusals have in common", dicom.CannotCorrect: "of corrections",
    archive.CorrectionRefused: "of corrections", archive.StudyChanged: "asks to try again, as 503 does anyway",
    archive.StudyMisplaced: "a row that was altered past the platform",
    network_errors.ProtocolFault: "A-ABORT", network_errors.UnrecognisedPdu: "A-ABORT",
    network_errors.UnexpectedPdu: "A-ABORT", network_errors.InvalidPdu: "A-ABORT",
    network_errors.PeerGone: "nobody is there", network_errors.IdentifierWrong: "in the tables of C-FIND and C-MOVE",
    network_errors.KeyNotHonoured: "in the table of C-FIND",
    network_errors.DestinationUnknown: "in the table of C-MOVE", network_errors.NothingThere: "in the table of C-MOVE",
    network_errors.AssociationFailed: "in the table of C-MOVE",
}  # fmt: skip


def test_every_line_has_a_name_of_its_own() -> None:
    names = [fact.id for fact in FACTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.id)
def test_every_line_is_shown(fact: Fact) -> None:
    assert TOLD.tests[fact.id], "no test carries this line in its marker"


def test_no_marker_names_what_is_no_line() -> None:
    assert TOLD.unknown == []


def test_the_statement_is_what_is_made_now() -> None:
    assert conformance.STATEMENT.read_text() == conformance.statement(TOLD), AGAIN


def test_the_checklist_is_what_is_made_now() -> None:
    assert conformance.CHECKLIST.read_text() == conformance.checked(TOLD), AGAIN


def test_every_point_says_by_what_or_why_not() -> None:
    for _, _, lines in checklist.PARTS:
        for line in lines:
            assert line.because or line.answer == "yes", line.text
            for pattern in line.facts:
                assert conformance.met(checklist.Line("", "yes", (pattern,)), TOLD), f"{pattern} is no line"
            if line.answer == "yes":
                assert line.facts, line.text


@pytest.mark.parametrize("module", [bytes_errors, archive_errors, web_errors, network_errors])
def test_every_fault_of_the_doors_is_in_a_table(module: ModuleType) -> None:
    told = {*network.STORE_FAULTS, *network.NETWORK_FAULTS, *web.HTTP_FAULTS, *web.STOW_FAULTS, *INSIDE}
    own = {
        one for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, TrothError) and one.__module__ == module.__name__
    }  # fmt: skip
    assert own - told == set()


def test_a_marker_is_read_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.conformance('a 1', 'b')\ndef test_one(): ...\n"
        "class TestIt:\n    @pytest.mark.parametrize('x', [1])\n    @pytest.mark.conformance('a *')\n"
        "    async def test_two(self, x): ...\n"
    )
    answer = shown([Fact("a 1", ()), Fact("a 2", ()), Fact("c", ())], tmp_path)
    one, two = f"{tmp_path.name}/test_it.py::test_one", f"{tmp_path.name}/test_it.py::TestIt::test_two"
    assert answer.tests == {"a 1": [two, one], "a 2": [two], "c": []}
    assert answer.unknown == [("b", one)]
