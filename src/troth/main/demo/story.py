"""The seven steps of the main job, each checked by what came back through a door."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg

from troth.dicom import scan
from troth.doors.dimse import scu
from troth.kit import clock, ids
from troth.kit.errors import Unprocessable
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.main.demo.cast import PATIENT_ID, Files, houses
from troth.main.demo.people import ADMINISTRATOR, CLINICIAN, OTHER_CLINICIAN, PATIENT, Cast, Member, one_time_links
from troth.main.demo.sending import AGAIN, in_thread, said_of
from troth.main.demo.visit import DoesNotHold, Visitor, holds
from troth.main.first_start import permit_for
from troth.main.node import Node
from troth.main.wiring import Rooms
from troth.notice import NothingInForce, NoticeVersion
from troth.policy import Target
from troth.proofs import Standing

DICOM_JSON = "application/dicom+json"
REFUSED = (0x0124, 0xA900, 0xC000)
TAKING_IN = "care"


@dataclass(slots=True)
class Story:
    """What the steps share.

    Attributes:
        say: Prints one line of evidence.
        cast: Those who work in the organisations.
    """

    node: Node
    rooms: Rooms
    files: Files
    say: Callable[[str], None]
    cast: Cast
    hospital: str = ""
    clinic: str = ""
    places: dict[str, UUID] = field(default_factory=dict)
    clinician: Visitor | None = None
    patient: Visitor | None = None
    head_uid: str = ""
    old_uid: str = ""
    other_uid: str = ""
    other_token: str = ""

    @property
    def url(self) -> str:
        """Origin of the pages."""
        return self.node.settings.http_url

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[None]]]]:
        """The steps in order; where no notice of the deployment has a use for scans, that none gets in."""
        if TAKING_IN not in self.rooms.compiled.purposes:
            return [
                ("The notice is checked, compiled and published", self.notice),
                ("No notice here has a use for scans, so none gets in", self.take_nothing),
                ("Everything can be proved", self.prove),
            ]
        return [
            ("The notice is checked, compiled and published", self.notice),
            ("Two organisations receive studies, with the same PatientID for two people", self.receive),
            ("A clinician sees the study; another organisation learns nothing", self.see),
            ("The patient sees the study, and who looked", self.patient_sees),
            ("The patient asks for a copy and gets all of it", self.copy),
            ("The patient asks for erasure; what no law keeps is gone for good", self.erase),
            ("Everything can be proved", self.prove),
        ]

    async def notice(self) -> None:
        """Step 1."""
        visitor = Visitor(self.url)
        words = await visitor.open("/")
        version = await self._version()
        holds(visitor.answer.status_code == 200 and version.notice.head.deployment in words, "the notice has its page")
        await visitor.close()
        clauses = len(version.notice.clauses)
        self.say(f"{version.name}, version {version.number}: {clauses} clauses")
        self.say(f"in force: {self.rooms.compiled.label}; {len(self.rooms.compiled.policies)} policies decide")
        self.say(f"signed, sha256 {version.sha256.hex()[:16]}")
        self.say(f"read it: {self.url}/")
        settings = self.node.settings
        _, writer = await asyncio.open_connection(settings.dicom.host, settings.dicom.port)
        writer.close()
        self.say(f"up: pages {self.url} · viewer {settings.viewer_origin} · DICOM {settings.ae}@{settings.dicom}")

    async def receive(self) -> None:
        """Step 2."""
        people, settings = self.rooms.people, self.node.settings
        self.hospital, self.clinic = houses(settings)
        for name in (self.hospital, self.clinic):
            self.places[name] = (await people.organisation_named(name)).id
        hospital = await self._inside("administer", self.hospital)
        await people.add_peer(hospital, self.places[self.hospital], "CT1", "127.0.0.1", 11113)
        sent = [*self.files.old, *self.files.head]
        statuses = await self._stored(sent)
        holds(statuses == [0] * len(sent), f"every C-STORE is answered 0000, not {said_of(statuses)}")
        self.say(f"{self.hospital}: {len(sent)} CT images by C-STORE from CT1, every one acknowledged 0000")
        stranger = await self._send(sent[:1], "STRANGER")
        holds(stranger == [-1], "a stranger's association is rejected")
        self.say("an unknown AE title is rejected before it can send a byte")
        self.old_uid, self.head_uid = (scan(files[0])[0].study_uid for files in (self.files.old, self.files.head))
        self.other_uid = scan(self.files.other[0])[0].study_uid
        clinic = await self._inside("administer", self.clinic)
        self.other_token = await people.issue_token(
            clinic, self.places[self.clinic], "peer", "care", timedelta(hours=1)
        )
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            answer = await client.post("/dicomweb/studies", **multipart(self.files.other, self.other_token))
            holds(answer.status_code == 200, f"STOW-RS answers 200, not {answer.status_code}")
        self.say(f"{self.clinic}: {len(self.files.other)} X-ray images by STOW-RS, answered 200")
        self.say(f"both have PatientID {PATIENT_ID}: two different people, two subjects, two keys")

    async def take_nothing(self) -> None:
        """Step 2 where no notice lets anybody bring in a scan."""
        settings = self.node.settings
        self.hospital, self.clinic = houses(settings)
        place = await self.rooms.people.organisation_named(self.hospital)
        self.places[self.hospital] = place.id
        inside = await self._inside("administer", self.hospital)
        people, hour = self.rooms.people, timedelta(hours=1)
        for what, asked in (
            (
                "a machine that sends scans is not registered",
                people.add_peer(inside, place.id, "CT1", "127.0.0.1", 11113),
            ),
            ("a token to send them with is not issued", people.issue_token(inside, place.id, "peer", TAKING_IN, hour)),
        ):
            is_refused = False
            try:
                await asked
            except Unprocessable as fault:
                is_refused = True
                self.say(f"{what}: {fault.detail}")
            holds(is_refused, what)
        sent = await self._send(self.files.head[:1], "CT1")
        holds(sent == [-1], f"a scan by DICOM is refused, not {sent}")
        self.say("a scan by C-STORE: the association is rejected")
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            answer = await client.post("/dicomweb/studies", **multipart(self.files.other, ids.secret(16)))
        holds(answer.status_code == 401, f"a scan by STOW-RS is refused, not {answer.status_code}")
        self.say(f"a scan by STOW-RS: refused, {answer.status_code}")
        holds(not await self._studies(self.hospital), "nothing was kept")
        self.say("nothing was kept; people here have accounts, and no scans")

    async def see(self) -> None:
        """Step 3."""
        self.clinician = await self._staff(self.hospital, CLINICIAN)
        if "assignment" in self.rooms.compiled.claims:
            await self._assign()
        found = await self._query(self.clinician, {"PatientID": PATIENT_ID})
        uids = {study["0020000D"]["Value"][0] for study in found}
        holds(uids == {self.head_uid, self.old_uid}, "the search finds the two studies of this organisation's patient")
        self.say("Dr B. Specimen was invited by one administrator, and a second one approved")
        self.say("Dr B. Specimen signs in by a one-time link and a code of an app; the link alone opened nothing")
        self.say(f"and finds {len(found)} studies of PatientID {PATIENT_ID}")
        viewer = self.node.settings.viewer_origin
        base = f"{viewer}/dicomweb/studies/{self.head_uid}"
        shell = await self.clinician.open_viewer(f"{viewer}/viewer?StudyInstanceUIDs={self.head_uid}")
        holds(shell.status_code == 200 and '<div id="root"' in shell.text, "OHIF is served on its own origin")
        metadata = (await self.clinician.client.get(f"{base}/metadata", headers={"Accept": DICOM_JSON})).json()
        series, instance = metadata[0]["0020000E"]["Value"][0], metadata[0]["00080018"]["Value"][0]
        frame = await self.clinician.client.get(f"{base}/series/{series}/instances/{instance}/frames/1")
        holds(frame.status_code == 200 and len(frame.content) > 500_000, "the viewer gets its frames")
        self.say(f"OHIF gets {len(metadata)} images: {viewer}/viewer?StudyInstanceUIDs={self.head_uid}")
        other = await self._staff(self.clinic, OTHER_CLINICIAN)
        absent = ids.dicom_uid()
        theirs = await other.client.get(f"/dicomweb/studies/{self.head_uid}/metadata", headers={"Accept": DICOM_JSON})
        nobodys = await other.client.get(f"/dicomweb/studies/{absent}/metadata", headers={"Accept": DICOM_JSON})
        same = (theirs.status_code, theirs.content, plain(theirs)) == (404, nobodys.content, plain(nobodys))
        holds(same and nobodys.status_code == 404, "not yours and not there are the same answer")
        self.say(f"{self.clinic}'s clinician gets 404 for it, byte for byte the answer for a study that does not exist")
        await other.close()

    async def _assign(self) -> None:
        """Where the notice asks who takes part in whose care, an administrator says it at their page."""
        assert self.clinician is not None
        holds(not await self._query(self.clinician, {}), "who takes part in nobody's care finds nothing")
        admin = await self._staff(self.hospital, ADMINISTRATOR)
        await admin.open("/admin/care")
        doctor = admin.choice("person", "Dr B. Specimen")
        until = (clock.today() + timedelta(days=30)).isoformat()
        why = "On the ward that treats him"
        await admin.press("Assign", person=doctor, patient=PATIENT_ID, until=until, reason=why)
        holds("They can open it from now on" in admin.text, "the assignment stands")
        await admin.close()
        self.say("Dr B. Specimen finds nothing: the notice asks for an assignment, and role alone is none")
        self.say(f"F. Template, administrator, assigns Dr B. Specimen to PatientID {PATIENT_ID}: {self.url}/admin/care")

    async def patient_sees(self) -> None:
        """Step 4."""
        assert self.clinician is not None
        subject = (await self._studies(self.hospital))[self.head_uid]
        permit = await permit_for(
            self.rooms, "invite", Target("subject", subject[1], self.places[self.hospital], subject[1])
        )
        invitation = await self.rooms.people.invite_subject(permit, subject[1], PATIENT)
        self.patient = Visitor(self.url)
        await self.patient.open(invitation.link)
        if "code" not in self.patient.text.lower():
            await self.patient.press("Open")
        told = {"name": "Archibald Doe", "day": "1", "month": "4", "year": "1950", "email": PATIENT}
        wrong = str((int(invitation.code) + 1) % 1_000_000).zfill(6)
        await self.patient.press("Show me my scans", code=wrong, **told)
        holds("Your scans" not in self.patient.text, "a wrong code opens nothing")
        await self.patient.open(invitation.link)
        if "code" not in self.patient.text.lower():
            await self.patient.press("Open")
        await self.patient.press("Show me my scans", code=invitation.code, **told)
        if "/scans" not in self.patient.answer.url.path:
            await self.patient.open("/scans")
        holds("CT head without contrast" in self.patient.text, "the patient sees the study")
        self.say("invited, matched by name, birth date and one-time code; a wrong code opened nothing")
        holds("Dr B. Specimen" in self.patient.text, "the patient sees who looked")
        looked = await self.patient.open("/looked")
        holds("Dr B. Specimen" in looked and "§" in looked, "who looked, when, why, under which clause")
        self.say(f"the patient reads that Dr B. Specimen looked, when, why and by which clause: {self.url}/looked")
        viewer = self.node.settings.viewer_origin
        base = f"{viewer}/dicomweb/studies"
        await self.patient.open_viewer(f"{viewer}/viewer?StudyInstanceUIDs={self.head_uid}")
        own = await self.patient.client.get(f"{base}/{self.head_uid}/metadata", headers={"Accept": DICOM_JSON})
        foreign = await self.patient.client.get(f"{base}/{self.other_uid}/metadata", headers={"Accept": DICOM_JSON})
        holds((own.status_code, foreign.status_code) == (200, 404), "the same viewer shows their study and no other")
        self.say("the same viewer shows the patient their own study, and no other")

    async def copy(self) -> None:
        """Step 5."""
        assert self.patient is not None
        await self.patient.open("/requests/new?right=access")
        await self.patient.press("Ask for a copy")
        page = str(self.patient.answer.url)
        await self._until(self.patient, page, "Download your copy")
        self.say(f"asked, acknowledged with its due date, identity already proved: {page}")
        taken = await self.patient.client.get(self.patient.link("Download your copy"))
        holds(taken.status_code == 200, f"the copy can be taken, not {taken.status_code}")
        content = taken.content
        archive = zipfile.ZipFile(io.BytesIO(content))
        names = set(archive.namelist())
        needed = {"DICOMDIR", "INDEX.HTM", "HELD.JSON", "ACCESS.JSON", "MANIFEST.TXT"}
        holds(needed <= names, f"the copy holds {', '.join(sorted(needed))}")
        images = [name for name in names if name.startswith("DICOM/")]
        holds(len(images) == len(self.files.old) + len(self.files.head), "every image is in the copy")
        for line in archive.read("MANIFEST.TXT").decode().splitlines():
            digest, _, name = line.partition("  ")
            holds(hashlib.sha256(archive.read(name)).hexdigest() == digest, f"{name} is as the manifest says")
        self.say(f"a zip of {len(content) / 1e6:.1f} MB: {len(images)} images, DICOMDIR, summary, JSON, access list")
        self.say(f"read back: {len(names)} files, every hash of the manifest holds")
        self.say(await asyncio.to_thread(read_by_dcmtk, archive))

    async def erase(self) -> None:
        """Step 6."""
        assert self.patient is not None
        study_id = (await self._studies(self.hospital))[self.old_uid][0]
        head_id = (await self._studies(self.hospital))[self.head_uid][0]
        await self.patient.open(f"/requests/new?right=erase&look=1&study={study_id}&study={head_id}")
        holds("Look it over" in self.patient.text or "Erase" in self.patient.text, "a preview comes before harm")
        await self.patient.press("Erase", sure="erase")
        page = str(self.patient.answer.url)
        await self._until(self.patient, page, "certificate of erasure")
        studies = await self._studies(self.hospital)
        holds(self.old_uid not in studies and self.head_uid in studies, "the old study is gone, the kept one is there")
        self.say("the study of 2004 is erased: key destroyed, bytes freed, rows gone, certificate signed")
        kept_by = (await self._version()).notice.retention("imaging_study").clause_id
        self.say(f"the study of this year is kept by § {kept_by}, with ground and end date in the answer: {page}")
        again = await self._send(self.files.old, "CT1")
        holds(all(status in REFUSED for status in again), f"the same files are refused, not {again}")
        self.say(f"the same files sent again are refused by the tombstone ({again[0]:04X})")
        async with httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {self.other_token}"}
        ) as client:
            there = await client.get("/dicomweb/studies", params={"PatientID": PATIENT_ID})
        holds(there.status_code == 200 and len(there.json()) == 1, "the other person is untouched")
        self.say(f"the other person with PatientID {PATIENT_ID} is untouched")

    async def prove(self) -> None:
        """Step 7."""
        await asyncio.sleep(1)
        verdict = await self.rooms.ledger.verify(self.rooms.dsn_sequencer)
        holds(verdict.is_sound and verdict.size > 2, "the ledger is whole")
        self.say(f"ledger: {verdict.size} entries computed again, {verdict.signatures} signatures checked, all hold")
        found = await asyncio.to_thread(tamper, self.node.server)
        if found is not None:
            event_id, undo = found
            broken = (await self.rooms.ledger.verify(self.rooms.dsn_sequencer)).broken
            await asyncio.to_thread(undo)
            holds(any(one.event_id == event_id for one in broken), "an altered row is found and named")
            self.say(f"one row altered by the database's superuser: found and named, {broken[0].what}")
            holds((await self.rooms.ledger.verify(self.rooms.dsn_sequencer)).is_sound, "put right, it is whole again")
        await self._promises()

    async def _promises(self) -> None:
        version = await self._version()
        report = await self.rooms.proofs.report(version.notice)
        counts = ", ".join(f"{report.count(standing)} {standing.value}" for standing in Standing)
        against = [f"§ {each.clause_id}: {each.reason}" for each in report.promises if each.standing is Standing.BROKEN]
        holds(report.count(Standing.KEPT) > 0, "promises are kept")
        holds(not against, f"no promise is broken ({'; '.join(against)})")
        self.say(f"promises: {counts}")
        self.say(f"see them: {self.url}/promises")

    async def still(self, kept: str, erased: str) -> None:
        """What was told at an earlier start, looked at again.

        Args:
            kept: UID of the study that the patient has; empty where no scan gets in.
            erased: UID of the one that is gone.
        """
        settings = self.node.settings
        self.hospital = houses(settings)[0]
        self.places[self.hospital] = (await self.rooms.people.organisation_named(self.hospital)).id
        async with httpx.AsyncClient(timeout=60, follow_redirects=True) as client:
            links = [link for _, given in await one_time_links(self.rooms) for _, link in given]
            for address in (f"{self.url}/", f"{settings.viewer_origin}/viewer", *links):
                answer = await client.get(address)
                holds(answer.status_code == 200, f"{answer.url.path.partition('/sign-in')[0] or 'sign-in'} answers 200")
        self.say(f"pages, viewer and the doors of {len(links)} people answer")
        holds(
            await in_thread(
                partial(scu.echo, settings.dicom.host, settings.dicom.port, calling_ae="CT1", called_ae=settings.ae)
            )
            is bool(kept),
            "CT1 is let in",
        )
        studies = await self._studies(self.hospital)
        if kept:
            holds(kept in studies, "the study that is kept is there")
            holds(erased not in studies, "the erased one is not")
            self.say("the study that is kept is there, the erased one is not; CT1 is answered")
        else:
            holds(not studies, "no scan is here")
            self.say("no scan is here; CT1 is rejected")
        verdict = await self.rooms.ledger.verify(self.rooms.dsn_sequencer)
        holds(verdict.is_sound, "the ledger is whole")
        self.say(f"ledger: {verdict.size} entries computed again, {verdict.signatures} signatures checked, all hold")
        await self._promises()

    async def close(self) -> None:
        """Let the visitors go."""
        await self.cast.close()
        for visitor in (self.clinician, self.patient):
            if visitor is not None:
                await visitor.close()

    async def _version(self) -> NoticeVersion:
        """The notice for patients, or where there is none, that for the people who work here."""
        try:
            return await self.rooms.notices.in_force("patients")
        except NothingInForce:
            return await self.rooms.notices.in_force("users")

    async def _inside(self, action: str, name: str) -> Any:
        place = self.places[name]
        return await permit_for(self.rooms, action, Target("organisation", place, place))

    async def _send(self, files: list[bytes], ae: str) -> list[int]:
        """Statuses of C-STORE; -1 where the association was rejected, or no answer came."""
        dicom, ours = self.node.settings.dicom, self.node.settings.ae
        return await in_thread(partial(scu.send, files, dicom.host, dicom.port, calling_ae=ae, called_ae=ours))

    async def _stored(self, files: list[bytes]) -> list[int]:
        """The same as a modality does it: what was not taken for a reason that passes is sent again."""
        statuses = await self._send(files, "CT1")
        for pause in (2, 5, 10):
            if not (left := [each for each, status in enumerate(statuses) if status in AGAIN]):
                break
            self.say(f"this machine is busy: {said_of([statuses[each] for each in left])}; sent again in {pause} s")
            await asyncio.sleep(pause)
            for each, status in zip(left, await self._send([files[each] for each in left], "CT1"), strict=True):
                statuses[each] = status
        return statuses

    async def _staff(self, organisation: str, member: Member) -> Visitor:
        place = await self.rooms.people.organisation_named(organisation)
        return await self.cast.signed_in(place, await self.cast.joined(place, member))

    async def _query(self, visitor: Visitor, keys: dict[str, str]) -> list[dict[str, Any]]:
        answer = await visitor.client.get("/dicomweb/studies", params=keys, headers={"Accept": DICOM_JSON})
        holds(answer.status_code in (200, 204), f"QIDO-RS answers 200, not {answer.status_code}")
        found: list[dict[str, Any]] = answer.json() if answer.content else []
        return found

    async def _studies(self, organisation: str) -> dict[str, tuple[UUID, UUID]]:
        """Study UID to (study id, subject id), as an operator of the demo may know them."""
        assert isinstance(self.node.server, EmbeddedServer)
        place = self.places[organisation]
        with psycopg.connect(self.node.server.dsn(SUPERUSER)) as connection:
            rows = connection.execute(
                "select study_uid, id, subject_id from study where tenant = %s and state = 'held'", [place]
            )
            return {uid: (study_id, subject_id) for uid, study_id, subject_id in rows}

    async def _until(self, visitor: Visitor, page: str, wanted: str) -> None:
        give_up_at = time.monotonic() + 120
        while wanted not in await visitor.open(page):
            if time.monotonic() > give_up_at:
                raise DoesNotHold(f"the request was not answered in time: {visitor.text[:400]}")
            await asyncio.sleep(0.4)


def plain(answer: httpx.Response) -> dict[str, str]:
    """Headers of an answer without its time."""
    return {name: value for name, value in answer.headers.items() if name != "date"}


def multipart(files: list[bytes], token: str) -> dict[str, Any]:
    """A STOW-RS body (DICOM PS3.18 8.6.1.2.1)."""
    mark = ids.secret(16)
    head = f"--{mark}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + file + b"\r\n" for file in files) + f"--{mark}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={mark}'
    return {"content": body, "headers": {"Authorization": f"Bearer {token}", "Content-Type": kind}}


def read_by_dcmtk(archive: zipfile.ZipFile) -> str:
    """Let another toolkit read the directory of the copy, where it is installed."""
    program = shutil.which("dcmdump")
    if program is None:
        return "dcmtk is not installed here: its reading of the DICOMDIR is left to the tests"
    with tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder)
        done = subprocess.run([program, "-q", str(Path(folder) / "DICOMDIR")], capture_output=True, text=True)
    records = done.stdout.count("DirectoryRecordType")
    images = sum(name.startswith("DICOM/") for name in archive.namelist())
    holds(done.returncode == 0 and records > images, "dcmtk reads the DICOMDIR")
    return f"dcmtk reads the DICOMDIR: {records} records"


def tamper(server: object) -> tuple[UUID, Callable[[], None]] | None:
    """Alter one row of the ledger as only the database's superuser can; returns its id and a way back."""
    if not isinstance(server, EmbeddedServer):
        return None
    dsn = server.dsn(SUPERUSER)
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select id, purpose from ledger_entry where kind = 'archive:study:opened' order by id limit 1"
        ).fetchone()
        if row is None:
            return None
        connection.execute("update ledger_entry set purpose = 'statistics' where id = %s", [row[0]])

    def undo() -> None:
        with psycopg.connect(dsn) as again:
            again.execute("update ledger_entry set purpose = %s where id = %s", [row[1], row[0]])

    return row[0], undo
