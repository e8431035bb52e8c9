"""One round of each kind of work, on one server. Every function returns figures in the unit of its row."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, quantiles
from uuid import uuid4
from zipfile import ZipFile

from bench import beside, loads, meter, orthanc, scans, troth
from bench.server import Server

Figures = dict[str, float]
MULTIPART = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
JSON = "application/dicom+json"
_MONTHS = [f"{year}{month:02d}" for year in range(2024, 2026) for month in range(1, 13)]
_MODALITIES = ["CT", "MR", "US", "CR", "PT"]


class Bench:
    """The material of a run, and the state of what was loaded into each server.

    Args:
        scratch: Folder in memory for files of the client.
        instances: C-STORE instances of one association and round.
        searches: Searches of one round.
        notice: In force at Troth.
    """

    def __init__(self, scratch: Path, instances: int, searches: int, notice: Path) -> None:
        self._notice = notice
        self._scratch = scratch
        self._instances = instances
        self._searches = searches
        self._large = scans.Template(512)
        self._small = scans.Template(16)
        self._random = random.Random(7)  # noqa: S311
        self._idle_bytes: dict[str, int] = {}
        self._erased = 0
        self._loaded: dict[str, list[int]] = {}
        self._study: dict[str, tuple[str, str, list[str]]] = {}

    def note_idle(self, server: Server) -> None:
        """Note what an idle server takes, before it has done anything."""
        self._idle_bytes[server.name] = meter.memory_bytes(*server.pids)

    # -- C-STORE -----------------------------------------------------------------------------------------------

    def _store(self, server: Server, count: int, associations: int, *, no_delay: bool = True) -> tuple[float, float]:
        folder = self._scratch / uuid4().hex
        files = scans.write_files(folder, self._large, count)
        try:
            with meter.Meter(*server.pids) as cost:
                took = loads.store(server, files, associations, no_delay=no_delay)
        finally:
            shutil.rmtree(folder)
        return count / took, cost.cpu_seconds * 1000 / count

    def cstore_1(self, server: Server) -> Figures:
        """One association of a client with TCP_NODELAY."""
        rate, cpu = self._store(server, self._instances, 1)
        return {"cstore-1": rate, "cstore-cpu": cpu}

    def cstore_4(self, server: Server) -> Figures:
        """Four at once."""
        return {"cstore-4": self._store(server, 2 * self._instances, 4)[0]}

    def cstore_unmodified(self, server: Server) -> Figures:
        """The client as it is shipped."""
        return {"cstore-unmodified": self._store(server, self._instances // 2, 1, no_delay=False)[0]}

    # -- STOW-RS -----------------------------------------------------------------------------------------------

    def _batches(self, count: int) -> list[bytes]:
        return [
            loads.stow_body([octets for _, octets in scans.study(self._large, 50, self._random.randrange(10**7))])
            for _ in range(count)
        ]

    def stow_1(self, server: Server) -> Figures:
        """One client."""
        bodies = self._batches(3)
        with meter.Meter(*server.pids) as cost:
            took = loads.stow(server, bodies, 1)
        return {"stow-1": 150 / took, "stow-cpu": cost.cpu_seconds * 1000 / 150}

    def stow_4(self, server: Server) -> Figures:
        """Four clients."""
        return {"stow-4": 400 / loads.stow(server, self._batches(8), 4)}

    def stow_memory(self, server: Server) -> Figures:
        """Four clients again, memory sampled; rates of this one do not count."""
        bodies = self._batches(8)
        with meter.Meter(*server.pids, with_memory=True) as cost:
            loads.stow(server, bodies, 4)
        return {"stow-memory": max(0, cost.peak_bytes - self._idle_bytes[server.name]) / 2**20}

    def stow_flat(self, server: Server) -> Figures:
        """Whether memory goes on growing: the peak of 24 batches over the peak of 8 batches before them."""
        peaks = []
        for _ in range(4):
            bodies = self._batches(8)
            with meter.Meter(*server.pids, with_memory=True) as cost:
                loads.stow(server, bodies, 4)
            peaks.append(cost.peak_bytes)
        return {"stow-flat": max(0, max(peaks[1:]) - peaks[0]) / 2**20}

    # -- search ------------------------------------------------------------------------------------------------

    def load(self, server: Server, studies: int) -> None:
        """Load small studies of one instance for the searches, once per server."""
        patients = list(range(1, studies + 1))
        dice = random.Random(11)  # noqa: S311
        bodies = []
        for start in range(0, studies, 50):
            instances = []
            for patient in patients[start : start + 50]:
                date = f"{dice.choice(_MONTHS)}{dice.randrange(1, 29):02d}"
                instances += [
                    octets
                    for _, octets in scans.study(self._small, 1, patient, date=date, modality=dice.choice(_MODALITIES))
                ]
            bodies.append(loads.stow_body(instances))
        loads.stow(server, bodies, 4)
        self._loaded[server.name] = patients

    def _search(self, row: str, server: Server, query: Callable[[], str]) -> Figures:
        reader = loads.Reader(server)
        took = [reader.get(f"/studies?limit=50&{query()}", JSON)[0] for _ in range(self._searches)]
        reader.close()
        return {row: median(took) * 1000, f"{row}-p95": quantiles(took, n=20)[18] * 1000}

    def qido_patient(self, server: Server) -> Figures:
        """By PatientID, each time another one."""
        patients = self._loaded[server.name]
        return self._search("qido-patient", server, lambda: f"PatientID=PID{self._random.choice(patients):07d}")

    def qido_date(self, server: Server) -> Figures:
        """By one month and a modality."""

        def query() -> str:
            month = self._random.choice(_MONTHS)
            return f"StudyDate={month}01-{month}28&ModalitiesInStudy={self._random.choice(_MODALITIES)}"

        return self._search("qido-date", server, query)

    # -- retrieve ----------------------------------------------------------------------------------------------

    def _whole_study(self, server: Server) -> tuple[str, str, list[str]]:
        if server.name not in self._study:
            first = scans.Scan(4_242, scans.fresh_uid(), scans.fresh_uid())
            made = [
                self._large.instance(scans.Scan(4_242, first.study_uid, first.series_uid, number))
                for number in range(1, 101)
            ]
            loads.stow(server, [loads.stow_body([octets for _, octets in made])], 1)
            self._study[server.name] = (first.study_uid, first.series_uid, [uid for uid, _ in made])
        return self._study[server.name]

    def wado_study(self, server: Server) -> Figures:
        """The whole study in one answer, three times."""
        study_uid, _, _ = self._whole_study(server)
        reader = loads.Reader(server)
        rates = []
        for _ in range(3):
            took, length = reader.get(f"/studies/{study_uid}", MULTIPART)
            if length < 100 * 524_288:
                raise loads.LoadFailed(f"{server.name} sent only {length} bytes of the study")
            rates.append(length / took / 1e6)
        reader.close()
        return {"wado-study": median(rates)}

    def metadata(self, server: Server) -> Figures:
        """Metadata of its series, five times."""
        study_uid, series_uid, _ = self._whole_study(server)
        reader = loads.Reader(server)
        took = [reader.get(f"/studies/{study_uid}/series/{series_uid}/metadata", JSON)[0] for _ in range(5)]
        reader.close()
        return {"metadata": median(took) * 1000}

    def rendered(self, server: Server) -> Figures:
        """Each instance as a JPEG, one after the other."""
        study_uid, series_uid, instances = self._whole_study(server)
        reader = loads.Reader(server)
        took = [
            reader.get(f"/studies/{study_uid}/series/{series_uid}/instances/{uid}/rendered", "image/jpeg")[0]
            for uid in instances
        ]
        reader.close()
        return {"rendered": len(instances) / sum(took)}

    def frames(self, server: Server) -> Figures:
        """Frame 1 of each instance, one after the other."""
        study_uid, series_uid, instances = self._whole_study(server)
        reader = loads.Reader(server)
        took = 0.0
        for uid in instances:
            seconds, length = reader.get(f"/studies/{study_uid}/series/{series_uid}/instances/{uid}/frames/1", FRAMES)
            took += seconds
            if length < 524_288:
                raise loads.LoadFailed(f"{server.name} sent a frame of {length} bytes")
        reader.close()
        return {"frames": len(instances) / took}

    # -- as a whole --------------------------------------------------------------------------------------------

    def zip(self, server: Server) -> Figures:
        """The study as a DICOM file set in a zip, to its last byte in a file in memory; of the bytes of the data."""
        study_uid, _, _ = self._whole_study(server)
        target = self._scratch / f"{uuid4().hex}.zip"
        try:
            if server.name == troth.NAME:
                took = beside.export(server, self._notice, study_uid, target)
            else:
                took = orthanc.media(server, study_uid, target)
            with ZipFile(target) as archive:
                if "DICOMDIR" not in archive.namelist() or len(archive.namelist()) <= 100:
                    raise loads.LoadFailed(f"{server.name} gave no file set of 100 instances")
        finally:
            target.unlink(missing_ok=True)
        return {"zip": 100 * self._large.length / took / 1e6}

    def erase(self, server: Server) -> Figures:
        """A patient with 1,000 small instances in one study; somebody reads one of them again and again meanwhile."""
        self._erased += 1
        first = scans.Scan(900_000 + self._erased, scans.fresh_uid(), scans.fresh_uid())
        made = [self._small.instance(replace(first, number=number)) for number in range(1, 1001)]
        bodies = [loads.stow_body([octets for _, octets in made[at : at + 50]]) for at in range(0, 1000, 50)]
        loads.stow(server, bodies, 2)
        another = replace(
            first, patient=first.patient + 50_000, study_uid=scans.fresh_uid(), series_uid=scans.fresh_uid()
        )
        loads.stow(server, [loads.stow_body([self._small.instance(another)[1]])], 1)
        path = f"/studies/{first.study_uid}/series/{first.series_uid}/instances/{made[500][0]}"
        watch = loads.Watch(server, path, MULTIPART)
        watch.start()
        if server.name == troth.NAME:
            whole = beside.erase(server, self._notice, another.study_uid, first.study_uid, watch.begin)
        else:
            whole = orthanc.erase(server, f"PID{first.patient:07d}", watch.begin)
        return {"erase": watch.end() * 1000, "erase-whole": whole * 1000}
