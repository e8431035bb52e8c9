"""The copy of everything held: a zip that any viewer, any hospital and any person can read.

    DICOMDIR, DICOM/ST000001/SE000001/IM000001   a DICOM file set, each data set bit for bit as it was stored
    INDEX.HTM, README.TXT                        the same in words
    HELD.JSON, ACCESS.JSON                       the same for programs
    LEDGER.JSON, check_my_list.py                the proof of who looked, and a program of one file that checks it
    CHECK.HTM                                    the same program as a page
    MANIFEST.TXT, MANIFEST.SIG                   SHA-256 of every file, signed by the deployment

It is sealed while it is written and lies nowhere in the clear. Nothing is called done before it was read back and
every data set was held against the archive.

Per: DICOM PS3.10 8, PS3.12 V; IHE RAD TF-3 4.47 (PDI); GDPR Art. 15.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from collections import ChainMap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from troth import dicom
from troth.archive import StudyNotFound, StudySummary, Viewing
from troth.kit import clock
from troth.kit.zipping import ZipEntry, ZipWriter
from troth.people import Subject
from troth.policy import Actor, Permit, PermitDenied, Target
from troth.rights import held, held_json, ledger_json, manifest, store, summary
from troth.rights.errors import CopyDiffers, CopyOutdated
from troth.rights.held import CopiedStudy, Held
from troth.rights.looked import access_list
from troth.rights.model import RightsRequest
from troth.rights.sealed_file import SealedFile
from troth.vault import KeyDestroyed, SealedObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from troth.rights.service import Rights

_STUDY_UID, _SERIES_UID, _MODALITY = 0x0020000D, 0x0020000E, 0x00080060
_INLINE_BYTES = 64 * 1024
_CHUNK_BYTES = 1 << 20
_WAIT_FOR_NUMBERS = 8  # quarters of a second: the sequencer numbers an entry within half a second


class CopyMaker:
    """Makes a copy for one access request, and reads it back.

    Args:
        rights: The room.
        actor: Who works: the worker, for the request.
        permit: Of this step.
        subject: Whose copy it is.
        request: The request.

    Attributes:
        copied: The studies that `make` has put in.
    """

    def __init__(self, rights: Rights, actor: Actor, permit: Permit, subject: Subject, request: RightsRequest) -> None:
        self._rights = rights
        self._actor = actor
        self._permit = permit
        self._subject = subject
        self._request = request
        self.copied: list[StudySummary] = []
        self._listed: list[dicom.Listed] = []
        self._lines: list[str] = []

    async def studies(self) -> list[StudySummary]:
        """The studies that the request is about and that are held now."""
        await self._renew()
        found = await self._rights.archive.studies_of_subject(self._permit, self._subject.id)
        chosen = set(self._request.scope)
        return [study for study in found if not chosen or study.id in chosen]

    async def make(self) -> SealedObject:
        """Write the copy; durable on return.

        Raises:
            CopyOutdated: A study was erased meanwhile.
        """
        writer = self._rights.packs.writer()
        try:
            await self._write(ZipWriter(writer.feed, clock.now()))
            sealed = await asyncio.to_thread(writer.finish)
        except BaseException:
            writer.abort()
            raise
        await self._rights.packs.sync()
        return sealed

    async def read_back(self, locator: bytes, key: bytes, sha256: bytes) -> int:
        """Read a copy back: all of it, every file of its manifest, and every data set against the archive.

        Args:
            locator: Where the copy lies.
            key: Its key.
            sha256: Of the whole zip.

        Returns:
            How many files were checked.

        Raises:
            CopyDiffers: Something is not as it was written.
            CopyOutdated: The archive holds other studies or instances by now.
        """
        whole, length = hashlib.sha256(), 0
        async for chunk in self._rights.packs.stream(locator, key):
            await asyncio.to_thread(whole.update, chunk)
            length += len(chunk)
        if whole.digest() != sha256:
            raise CopyDiffers
        loop = asyncio.get_running_loop()

        def opened() -> zipfile.ZipFile:
            return zipfile.ZipFile(SealedFile(self._rights.packs, locator, key, length, loop).buffered())

        with await asyncio.to_thread(opened) as archive:
            return await self._check(archive)

    async def _write(self, archive: ZipWriter) -> None:
        copied = []
        self.copied = await self.studies()
        for number, study in enumerate(self.copied, 1):
            copied.append(await self._write_study(archive, number, study))
        directory = await asyncio.to_thread(dicom.write_dicomdir, self._listed)
        self._line("DICOMDIR", archive.add("DICOMDIR", directory))
        content = await self._gather(tuple(copied))
        entry = archive.open("HELD.JSON")
        for piece in held_json.pieces(content):
            await _put(entry, piece)
        self._line("HELD.JSON", entry.close())
        for name, octets in (
            ("ACCESS.JSON", await asyncio.to_thread(held.access_json, content.access)),
            (ledger_json.NAME, await asyncio.to_thread(ledger_json.written, content.access)),
            (ledger_json.VERIFIER_NAME, await asyncio.to_thread(ledger_json.verifier)),
            (ledger_json.PAGE_NAME, await asyncio.to_thread(ledger_json.page)),
            ("INDEX.HTM", await asyncio.to_thread(summary.page, content)),
            ("README.TXT", summary.readme(content)),
        ):
            self._line(name, archive.add(name, octets))
        text = "".join(self._lines).encode("ascii")
        archive.add(manifest.NAME, text)
        archive.add(manifest.SIGNATURE_NAME, manifest.signed(self._rights.keyring, text))
        archive.finish()

    async def _write_study(self, archive: ZipWriter, number: int, study: StudySummary) -> CopiedStudy:
        copied = CopiedStudy(study, f"DICOM/ST{number:06d}")
        async with self._open(study) as viewing:
            instances: dict[str, list[Any]] = {}
            for instance in await viewing.instances():
                instances.setdefault(instance.series_uid, []).append(instance)
            for place, series in enumerate(await viewing.series(), 1):
                own = {_STUDY_UID: study.study_uid, _SERIES_UID: series.series_uid, _MODALITY: series.modality}
                entries = []
                for count, instance in enumerate(instances.get(series.series_uid, ()), 1):
                    file_id = (*copied.folder.split("/"), f"SE{place:06d}", f"IM{count:06d}")
                    name = "/".join(file_id)
                    entry = archive.open(name)
                    async for chunk in viewing.part10(instance):
                        await _put(entry, chunk)
                    digest = entry.close()
                    self._line(name, digest)
                    values = viewing.values(instance)
                    head = await viewing.head(instance) if instance.rows is None else None
                    known = ChainMap(own, values, dict(series.values), dict(study.values))
                    self._listed.append(held.listed_as(file_id, instance, known, head))
                    entries.append(held.instance_entry(instance, values, name, digest))
                copied.series.append(held.series_piece(series, entries))
        return copied

    async def _gather(self, copied: tuple[CopiedStudy, ...]) -> Held:
        """Everything beside the files, as of one moment; waits a little until the last entries have their numbers."""
        await self._renew()
        rights, subject_id = self._rights, self._subject.id
        for patience in reversed(range(_WAIT_FOR_NUMBERS)):
            async with rights.database.transaction(self._permit) as connection:
                await store.see_one_moment(connection)
                kin = await rights.people.kin_of(connection, subject_id)
                access = await access_list(rights.ledger, connection, kin)
            if not access.completeness.pending or not patience:
                break
            await asyncio.sleep(0.25)
        accounts = await rights.people.accounts_of_subject(self._permit, subject_id)
        return Held(
            organisation=(await rights.people.organisation(self._request.tenant)).name,
            request=self._request,
            made_at=clock.now(),
            version=await rights.notices.in_force("patients"),
            subject=self._subject,
            accounts=tuple(accounts),
            factors={each.id: await rights.people.factors_of_patient(self._permit, each.id) for each in accounts},
            studies=copied,
            requests=tuple(await rights.of_subject(self._permit, subject_id)),
            access=access,
            choices=tuple(await rights.choices.of_holder(self._permit, subject_id)) if rights.choices else (),
            accepted=tuple(await rights.people.accepted_by_subject(self._permit, subject_id)),
            proposals=tuple(await rights.choices.proposals_about(self._permit, subject_id)) if rights.choices else (),
        )

    async def _check(self, archive: zipfile.ZipFile) -> int:
        """Hold every file against the manifest, and every data set against the archive."""
        text = await asyncio.to_thread(archive.read, manifest.NAME)
        signature = await asyncio.to_thread(archive.read, manifest.SIGNATURE_NAME)
        if signature != manifest.signed(self._rights.keyring, text):
            raise CopyDiffers
        lines = manifest.parse(text)
        if sorted(archive.namelist()) != sorted([*lines, manifest.NAME, manifest.SIGNATURE_NAME]):
            raise CopyDiffers
        files = _files_of(json.loads(await asyncio.to_thread(archive.read, "HELD.JSON")))
        studies = await self.studies()
        if {study.study_uid for study in studies} != files.keys():
            raise CopyOutdated
        for name in lines.keys() - {name for each in files.values() for name in each.values()}:
            if (await asyncio.to_thread(_digests, archive, name, 0))[0] != lines[name]:
                raise CopyDiffers
        for study in studies:
            await self._check_study(archive, study, files[study.study_uid], lines)
        return len(lines)

    async def _check_study(
        self, archive: zipfile.ZipFile, study: StudySummary, files: dict[str, str], lines: dict[str, str]
    ) -> None:
        async with self._open(study) as viewing:
            instances = await viewing.instances()
            if {instance.instance_uid for instance in instances} != files.keys():
                raise CopyOutdated
            for instance in instances:
                name = files[instance.instance_uid]
                front = dicom.part10(instance.sop_class, instance.instance_uid, instance.syntax)
                whole, data_set, start = await asyncio.to_thread(_digests, archive, name, len(front))
                verified = await viewing.verify(instance)
                if whole != lines.get(name) or data_set != verified.sha256 or start != front:
                    raise CopyDiffers

    @asynccontextmanager
    async def _open(self, study: StudySummary) -> AsyncIterator[Viewing]:
        """A study of the subject, opened for this request; each opening is in the ledger."""
        target = Target(
            "study", study.id, study.tenant, study.subject_id, study.is_restricted,
            attributes=(("request", str(self._request.id)),),
        )  # fmt: skip
        with _erasure_means_outdated():
            permit = await self._rights.policy.require(self._actor, "copy", target, self._permit.purpose)
            viewing = await self._rights.archive.open_study(permit, study.study_uid)
        try:
            with _erasure_means_outdated():
                yield viewing
        finally:
            await viewing.close()

    async def _renew(self) -> None:
        """A permit covers five minutes; a large copy takes longer."""
        permit = self._permit
        self._permit = await self._rights.policy.require(self._actor, permit.action, permit.target, permit.purpose)

    def _line(self, name: str, digest: str) -> None:
        self._lines.append(manifest.line(name, digest))


@contextmanager
def _erasure_means_outdated() -> Iterator[None]:
    """A study that is erased while it is copied makes the copy outdated, nothing worse."""
    try:
        yield
    except (StudyNotFound, KeyDestroyed) as fault:
        raise CopyOutdated from fault
    except PermitDenied as fault:
        if fault.clauses:
            raise  # a clause forbids it
        raise CopyOutdated from fault


async def _put(entry: ZipEntry, chunk: bytes) -> None:
    """Pass bytes on; what takes a while goes to a thread."""
    if len(chunk) > _INLINE_BYTES:
        await asyncio.to_thread(entry.write, chunk)
    else:
        entry.write(chunk)


def _files_of(content: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Files of a copy by study and instance UID."""
    return {
        study["study_uid"]: {
            instance["instance_uid"]: instance["file"] for series in study["series"] for instance in series["instances"]
        }
        for study in content["studies"]
    }


def _digests(archive: zipfile.ZipFile, name: str, front_bytes: int) -> tuple[str, str, bytes]:
    """SHA-256 of a file of the zip and of what follows its front, and the front itself."""
    whole, rest = hashlib.sha256(), hashlib.sha256()
    with archive.open(name) as file:
        front = file.read(front_bytes)
        whole.update(front)
        while chunk := file.read(_CHUNK_BYTES):
            whole.update(chunk)
            rest.update(chunk)
    return whole.hexdigest(), rest.hexdigest(), front
