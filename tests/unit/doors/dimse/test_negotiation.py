from __future__ import annotations

import pytest
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AllStoragePresentationContexts

from tests.common.dimse import CT
from troth.doors.dimse.negotiation import VERIFICATION, agree, answer, is_kept_syntax, is_storage_class
from troth.doors.dimse.offered import OFFERS
from troth.doors.dimse.pdu import ProposedContext, Role

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.70"


def taken(abstract: str, *syntaxes: str, private_too: bool = False) -> tuple[int, str]:
    (only,) = answer([ProposedContext(1, abstract, syntaxes)], private_too=private_too)
    return only.result, only.syntax


@pytest.mark.conformance("SCP Storage")
def test_every_storage_class_of_the_standard_is_taken() -> None:
    assert len(AllStoragePresentationContexts) > 160
    assert not [c.abstract_syntax for c in AllStoragePresentationContexts if not is_storage_class(c.abstract_syntax)]


@pytest.mark.conformance("SCP Storage to come")
def test_a_class_that_is_registered_tomorrow_is_taken_too() -> None:
    assert taken("1.2.840.10008.5.1.4.1.1.999.1", IMPLICIT) == (0, IMPLICIT)


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.31",
        "1.2.840.10008.1.3.10",
        "1.2.840.10008.1.20.2",
        "",
        "9.9",
    ],
    ids=["worklist", "directory", "pull commitment", "empty", "private"],
)
@pytest.mark.conformance("not offered *")
def test_other_classes_are_not(uid: str) -> None:
    assert taken(uid, IMPLICIT)[0] == 3


@pytest.mark.conformance("SCP Storage private", "limit private_sop_classes")
def test_private_classes_by_setting_only() -> None:
    assert taken("1.3.12.2.1107.5.9.1", IMPLICIT) == (3, IMPLICIT)
    assert taken("1.3.12.2.1107.5.9.1", IMPLICIT, private_too=True) == (0, IMPLICIT)
    assert taken("1.2.840.10008.5.1.4.31", IMPLICIT, private_too=True)[0] == 3


@pytest.mark.parametrize("uid", OFFERS)
def test_other_services_are_spoken_without_pixels_only(uid: str) -> None:
    assert taken(uid, JPEG, EXPLICIT, IMPLICIT) == (0, EXPLICIT)
    assert taken(uid, JPEG)[0] == 4


@pytest.mark.conformance("association roles")
def test_a_peer_may_take_instances_but_not_provide_services() -> None:
    answers = answer([ProposedContext(1, CT, (IMPLICIT,)), ProposedContext(3, VERIFICATION, (IMPLICIT,))])
    asked = [Role(CT, True, True), Role(VERIFICATION, True, True), Role("1.2.3", True, True)]
    assert agree(asked, answers) == [Role(CT, True, True), Role(VERIFICATION, True, False)]


def test_syntaxes_with_pixels_are_kept_and_references_are_not() -> None:
    refused = {str(uid) for uid in AllTransferSyntaxes if not is_kept_syntax(uid)}
    assert refused == {
        "1.2.840.10008.1.2.4.204",
        "1.2.840.10008.1.2.4.205",
        "1.2.840.10008.1.2.7.1",
        "1.2.840.10008.1.2.7.2",
        "1.2.840.10008.1.2.7.3",
    }
    assert not is_kept_syntax("1.2.840.10008.1.2.4.94")


def test_the_peers_order_decides_but_big_endian_comes_last() -> None:
    assert taken(CT, JPEG, EXPLICIT) == (0, JPEG)
    assert taken(CT, EXPLICIT, JPEG) == (0, EXPLICIT)
    assert taken(CT, BIG, IMPLICIT) == (0, IMPLICIT)
    assert taken(CT, BIG) == (0, BIG)
    assert taken(CT, "1.2.840.10008.1.2.7.1") == (4, "1.2.840.10008.1.2.7.1")
    assert taken(CT)[0] == 4
    assert taken(VERIFICATION, JPEG, IMPLICIT) == (0, IMPLICIT)
