from __future__ import annotations

import json
from contextlib import suppress
from io import BytesIO
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, RLELossless, generate_uid

from tests.unit.archive.rooms import Rooms, instance, real_files, to_file
from troth import dicom
from troth.archive import Query, StudyNotFound, Viewing, advice, attributes, ready
from troth.kit import ids
from troth.vault import KeyDestroyed, KeyRef, Keyring, SealBroken

BASE = "http://troth.test/dicomweb"


async def opened(rooms: Rooms, study_uid: str) -> Viewing:
    return await rooms.archive.open_study(await rooms.may_open(study_uid), study_uid)


async def told(viewing: Viewing, series_uid: str | None = None, instance_uid: str | None = None) -> list[Any]:
    described = await viewing.description(series_uid, instance_uid)
    return [json.loads(line) for line in await described.tell(BASE)]


async def kept(rooms: Rooms) -> list[Any]:
    async with rooms.database.transaction(rooms.hospital) as connection:
        return await (await connection.execute("select * from series_metadata")).fetchall()


def read(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(content))


async def slowly(viewing: Viewing) -> list[Any]:
    """The same without anything ready-made: by one look at each head."""
    found = []
    for one in await viewing.instances():
        uri = f"{BASE}/studies/{viewing.study.study_uid}/series/{one.series_uid}/instances/{one.instance_uid}/bulkdata/"
        tail = await viewing.tail(one)
        own, name = dicom.to_json(await viewing.head(one), one.syntax, uri, tail=tail), viewing.advice(one)
        found.append(advice.marked(own, name) if name else own)
    return found


async def test_what_is_kept_is_what_the_heads_say(rooms: Rooms) -> None:
    study, series = generate_uid(), [generate_uid(), generate_uid()]
    files = [
        instance(
            StudyInstanceUID=study,
            SeriesInstanceUID=series[number % 2],
            SeriesNumber=number % 2 + 1,
            InstanceNumber=9 - number,
            PatientName="Žižek^Jan",
            SpecificCharacterSet="ISO_IR 192",
            ImageComments='with "quotes", \\ and\nlines',
        )
        for number in range(6)
    ]
    await rooms.store(*files)
    viewing = await opened(rooms, study)
    first = await told(viewing)
    assert first == await slowly(viewing)
    before = await kept(rooms)
    assert len([one for one in before if len(one["sealed"]) > 100]) >= 2
    assert await told(viewing) == first
    assert await kept(rooms) == before  # nothing was made again
    assert await told(viewing, series[1]) == first[3:]
    uid = first[0]["00080018"]["Value"][0]
    assert await told(viewing, None, uid) == first[:1]
    for absent in ((generate_uid(), None), (None, generate_uid()), (series[1], uid)):
        with pytest.raises(StudyNotFound):
            await told(viewing, *absent)


async def test_what_comes_later_is_told_at_once(rooms: Rooms) -> None:
    study, series = generate_uid(), generate_uid()
    await rooms.store(instance(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=2))
    viewing = await opened(rooms, study)
    version = (await viewing.description(series)).version
    assert len(await told(viewing, series)) == 1
    await rooms.store(instance(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=1))
    assert (await viewing.description(series)).version != version
    both = await told(viewing, series)
    assert [one["00200013"]["Value"] for one in both] == [[1], [2]]
    assert await told(viewing, series) == both == await slowly(viewing)


async def test_a_head_that_changed_makes_it_anew(rooms: Rooms) -> None:
    content = instance()
    await rooms.store(content)
    viewing = await opened(rooms, read(content).StudyInstanceUID)
    await told(viewing)
    (record,) = await viewing.instances()
    for head, is_kept in ((record.head_locator + b"x", False), (record.head_locator, True)):
        async with rooms.database.transaction(rooms.hospital) as connection:
            # As a correction does: another head, the same number of instances.
            await connection.execute("update instance set head_locator = %s where id = %s", (head, record.id))
        (row,) = await viewing.described_rows(None)
        assert (row["sealed"] is not None) == is_kept


async def test_it_ends_with_the_study(rooms: Rooms) -> None:
    content = instance(PatientID="GONE")
    await rooms.store(content)
    uid = read(content).StudyInstanceUID
    viewing = await opened(rooms, uid)
    await told(viewing)
    (row,) = await viewing.described_rows(None)
    study = viewing.study
    await rooms.archive.erase_study(rooms.may_erase(study.id, study.subject_id), study.id)
    assert row["id"] not in [one["series_id"] for one in await kept(rooms)]
    with pytest.raises(KeyDestroyed):
        ready.opened(rooms.keyring, viewing._key, row["id"], row["version"], row["sealed"])


async def test_what_was_altered_is_not_believed(rooms: Rooms) -> None:
    content = instance()
    await rooms.store(content)
    viewing = await opened(rooms, read(content).StudyInstanceUID)
    right = await told(viewing)
    async with rooms.database.transaction(rooms.hospital) as connection:
        await connection.execute("update series_metadata set sealed = sealed || 'x'::bytea")
    assert await told(viewing) == right


async def test_nothing_is_lost_where_it_cannot_be_kept(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready, "MOST_BYTES", 10)
    content = instance()
    await rooms.store(content)
    viewing = await opened(rooms, read(content).StudyInstanceUID)
    assert await told(viewing) == await slowly(viewing)
    (row,) = await viewing.described_rows(None)
    assert row["sealed"] is None


def with_tail(syntax: str) -> bytes:
    dataset = read(instance())
    dataset.add_new(0xFFFAFFFA, "SQ", [])  # DigitalSignaturesSequence
    dataset.add_new(0x7FE10010, "LO", "After the pixels")
    dataset.add_new(0xFFFCFFFC, "OB", b"\0" * 8)
    if syntax:
        dataset.PixelData = encapsulate([b"\xff\xd8" + bytes(30)])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        return to_file(dataset, syntax)
    return to_file(dataset)


@pytest.mark.parametrize("syntax", ["", JPEGBaseline8Bit, RLELossless])
async def test_elements_after_the_pixels_are_told(rooms: Rooms, syntax: str) -> None:
    content = with_tail(syntax)
    await rooms.store(content)
    viewing = await opened(rooms, read(content).StudyInstanceUID)
    (one,) = await told(viewing)
    assert one["7FE10010"] == {"vr": "LO", "Value": ["After the pixels"]}
    assert "FFFAFFFA" in one
    assert "FFFCFFFC" not in one
    assert one["7FE00010"]["BulkDataURI"].startswith(f"{BASE}/studies/")
    assert list(one) == sorted(one)


async def test_a_tail_behind_fragments_without_a_table(rooms: Rooms) -> None:
    dataset = read(with_tail(JPEGBaseline8Bit))
    dataset.NumberOfFrames = 2  # two frames in three fragments, without offsets: nobody can tell which is whose
    dataset.PixelData = encapsulate([bytes(10), bytes(12), bytes(14)], has_bot=False)
    content = to_file(dataset, JPEGBaseline8Bit)
    await rooms.store(content)
    viewing = await opened(rooms, dataset.StudyInstanceUID)
    (record,) = await viewing.instances()
    assert not record.frame_table
    assert (await told(viewing))[0]["7FE10010"]["Value"] == ["After the pixels"]


async def test_every_real_file_is_told_the_same_both_times(rooms: Rooms) -> None:
    for path in list(real_files())[:40]:
        with suppress(dicom.Malformed):
            await rooms.store(path.read_bytes())
    page = await rooms.archive.query(await rooms.may_query(), Query(limit=200))
    for found in page.found:
        viewing = await opened(rooms, found.study.study_uid)
        assert await told(viewing) == await told(viewing) == await slowly(viewing)


@pytest.mark.asvs("V1.2.2", "V1.2.3")
def test_an_address_cannot_break_the_answer(keyring: Keyring) -> None:
    header, _ = dicom.scan(instance())
    one: Any = type("One", (), {"syntax": header.syntax, "series_uid": "1.2", "instance_uid": "1.3"})()
    answer = ready.made("1.1", [one], [header.head], [b""], [""])
    evil = 'http://evil","x":"y'
    (line,) = ready.told(answer, evil)
    assert json.loads(line)["7FE00010"]["BulkDataURI"].startswith(evil + "/studies/1.1/series/1.2/")
    key, series, version = keyring.create(None), ids.uuid7(), bytes(32)
    sealed = ready.sealed(keyring, KeyRef(key), series, version, answer)
    assert sealed is not None
    assert ready.opened(keyring, KeyRef(key), series, version, sealed) == answer
    with pytest.raises(SealBroken):
        ready.opened(keyring, KeyRef(key), series, bytes(31) + b"1", sealed)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON that says nothing twice (RFC 8259 4)."""
    assert len(dict(pairs)) == len(pairs), sorted(key for key, _ in pairs)
    return dict(pairs)


@pytest.mark.parametrize("described", ["", "Lungs", "x" * 64])
@pytest.mark.parametrize("has_block", [False, True])
def test_advice_is_said_the_same_in_what_is_written_piece_by_piece(described: str, has_block: bool) -> None:
    dataset = read(instance(SeriesDescription=described))
    if not described:
        del dataset.SeriesDescription
    if has_block:
        dataset.private_block(0x99, "ANOTHER", create=True).add_new(0x01, "LO", "Theirs")
    header, _ = dicom.scan(to_file(dataset))
    one: Any = type("One", (), {"syntax": header.syntax, "series_uid": "1.2", "instance_uid": "1.3"})()
    plain = None
    for name in ("", "CAD"):
        written = ready.transcript("1.1", one, "x", name)
        text = b"".join(written.feed(header.head[at : at + 7]) for at in range(0, len(header.head), 7))
        said = json.loads(text + ready.finish(written, b"", name), object_pairs_hook=once)
        plain = plain or said
        assert said == (advice.marked(plain, name) if name else plain)
    assert said["0008103E"]["Value"] == [f"Advice, no result: {described or 'CAD'}"[:64]]
    assert said["00990011" if has_block else "00990010"]["Value"] == ["TROTH"]
    assert said["00991001"]["Value"] == ["Theirs" if has_block else "CAD; no result, a person reports"]


def test_advice_knows_the_private_blocks_after_the_pixels(keyring: Keyring) -> None:
    """A block there may be of a group above that of the pixels only; ours is below, and no key comes twice."""
    header, _ = dicom.scan(with_tail(""))
    one: Any = type("One", (), {"syntax": header.syntax, "series_uid": "1.2", "instance_uid": "1.3"})()
    written = ready.transcript("1.1", one, "x", "CAD")
    said = json.loads(written.feed(header.head) + ready.finish(written, header.tail, "CAD"), object_pairs_hook=once)
    assert said["7FE10010"]["Value"] == ["After the pixels"]
    assert said["00991001"]["Value"] == ["CAD; no result, a person reports"]


TEXTS = st.text(max_size=12).filter(lambda text: "\x00" not in text)
KEPT = attributes.STUDY_TAGS | attributes.SERIES_TAGS | attributes.INSTANCE_TAGS
TAGS = st.sampled_from(sorted(tag for tag in KEPT if attributes.vr_of(tag) != "SQ"))  # those hold what we wrote


@pytest.mark.asvs("V1.2.3")
@settings(max_examples=200, deadline=None)
@given(st.dictionaries(TAGS, TEXTS | st.sampled_from(["1", "1.5", "a\\b", " ", "A^B=C", "\\"]), max_size=6))
def test_a_list_is_written_as_it_would_be_made(values: dict[int, str]) -> None:
    assert json.loads(attributes.to_json_text(values)) == json.loads(json.dumps(attributes.to_json(values)))
