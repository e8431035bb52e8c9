"""`python -m bench.search_million`: searches over an index of a million studies, over HTTP, decided and in the ledger.

The rows are made by COPY, which is not how studies come, but they are the rows that would be there: values sealed
under a key of each study, tokens made with the organisation's key. Names are invented from syllables with an uneven
frequency, as real ones have; they are nobody's.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg import sql

from bench import loads, meter, troth
from bench.scans import fresh_uid
from bench.server import Server
from troth.archive import attributes, sealing, searching
from troth.kit import clock, ids
from troth.kit.passwords import SUPERUSER
from troth.main.node import server_for
from troth.main.settings import load as load_settings
from troth.vault import KeyRef, Keyring

_ROOT = Path(__file__).parents[1]
_BATCH = 2_000
_MAKERS = 2
_forks = multiprocessing.get_context("fork")
_STUDIES_OF_ONE = 2.5
_SYLLABLES = [
    "ba", "be", "bo", "da", "del", "den", "fer", "gar", "hol", "jan", "ka", "ker", "lan", "lin", "mar", "mil", "mor",
    "nor", "per", "ran", "rus", "sen", "son", "ta", "ter", "ton", "vel", "wes",
]  # fmt: skip
_WORDS = [
    "chest", "head", "abdomen", "pelvis", "knee", "spine", "contrast", "without", "left", "right", "follow",
    "angiography", "screening",
]  # fmt: skip
_MODALITIES = ["CT", "MR", "US", "CR", "DX", "PT"]
_FIRST_DAY, _DAYS = date(2016, 1, 1), 3_650
_STUDY_COLUMNS = (
    "tenant", "id", "study_uid", "subject_id", "surviving_id", "key", "audit_key", "study_date", "modalities",
    "sop_classes", "series_count", "instance_count", "length_bytes", "patient_key_token", "patient_id_token",
    "accession_token", "birth_token", "sealed", "stored_at", "changed_at",
)  # fmt: skip


class Invented:
    """People and what their studies say, from a seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)  # noqa: S311
        self._families = sorted({self._word(2, 3) for _ in range(9_000)})
        self._dice.shuffle(self._families)
        self._weights = [1 / (rank + 10) for rank in range(len(self._families))]
        self._given = [self._word(1, 2) for _ in range(900)]

    def _word(self, fewest: int, most: int) -> str:
        return "".join(self._dice.choice(_SYLLABLES) for _ in range(self._dice.randint(fewest, most))).capitalize()

    def families(self, count: int) -> list[str]:
        """Families as often as they are."""
        return self._dice.choices(self._families, self._weights, k=count)

    def values(self, patient: int, family: str) -> dict[int, str]:
        """The attributes of a study of somebody."""
        dice = self._dice
        day = _FIRST_DAY + timedelta(days=dice.randrange(_DAYS))
        return {
            attributes.PATIENT_NAME: f"{family}^{self._given[hash((patient, 1)) % len(self._given)]}",
            attributes.PATIENT_ID: f"PID{patient:07d}",
            attributes.BIRTH_DATE: f"{1930 + patient % 80}{1 + patient % 12:02d}{1 + patient % 28:02d}",
            attributes.SEX: "FMO"[patient % 3],
            attributes.STUDY_DATE: f"{day:%Y%m%d}",
            attributes.STUDY_TIME: "101500",
            attributes.ACCESSION: f"A{dice.randrange(10**9):09d}",
            attributes.REFERRER: f"{dice.choice(self._families)}^{dice.choice(self._given)}",
            attributes.DESCRIPTION: " ".join(dice.sample(_WORDS, 3)).upper(),
            attributes.STUDY_ID: str(patient),
        }


def load(server: Server, studies: int, invented: Invented) -> tuple[UUID, int]:
    """Put studies into the index.

    Returns:
        The organisation, and how many people there are.
    """
    with psycopg.connect(server_for(load_settings(server.folder)).dsn(SUPERUSER)) as connection:
        row = connection.execute("select id, key from organisation order by name limit 1").fetchone()
        assert row is not None
        tenant, key = row[0], KeyRef(row[1])
        # People are only numbers here: nothing of theirs is searched, and no search joins them.
        connection.execute("set session_replication_role = replica")
        connection.execute("alter table study_token drop constraint study_token_pkey")
        connection.execute("drop index study_token_study")
        connection.commit()
        patients = max(int(studies / _STUDIES_OF_ONE), 1)
        families = invented.families(patients)
        makers = [
            _forks.Process(target=_fill, args=(server, tenant, key, len(range(seed, studies, _MAKERS)), families, seed))
            for seed in range(_MAKERS)
        ]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
            if maker.exitcode:
                raise RuntimeError("a process that makes rows ended")
        connection.execute("set temp_file_limit = -1")  # of a node, where no statement sorts so much
        connection.execute("set maintenance_work_mem = '1GB'")
        connection.execute("alter table study_token add primary key (tenant, token, study_date, study_id)")
        connection.execute("create index study_token_study on study_token (tenant, study_id)")
        connection.commit()
        connection.autocommit = True
        connection.execute("vacuum (analyze) study")
        connection.execute("vacuum (analyze) study_token")
    return tenant, patients


def _fill(server: Server, tenant: UUID, key: KeyRef, studies: int, families: list[str], seed: int) -> None:
    """Make the rows of some studies; in a process of its own."""
    settings = load_settings(server.folder)
    keyring = Keyring.open(settings.data_dir / "keys")
    invented, dice = Invented(3 + seed), random.Random(seed)  # noqa: S311
    with psycopg.connect(server_for(settings).dsn(SUPERUSER)) as connection:
        connection.execute("set session_replication_role = replica")
        connection.commit()
        started, done = time.monotonic(), 0
        while done < studies:
            count = min(_BATCH, studies - done)
            chosen = [dice.randrange(len(families)) for _ in range(count)]
            _copy(connection, keyring, tenant, key, [invented.values(one, families[one]) for one in chosen])
            connection.commit()
            done += count
            if done % 20_000 == 0 or done == studies:
                say(f"maker {seed}: {done} studies, {done / (time.monotonic() - started):.0f}/s")


def _copy(
    connection: psycopg.Connection, keyring: Keyring, tenant: UUID, key: KeyRef, batch: list[dict[int, str]]
) -> None:
    token = partial(keyring.token, key)
    keys = keyring.create_many([key] * len(batch))
    tokens: list[tuple[UUID, int, date, UUID]] = []
    copied = sql.SQL("copy study ({}) from stdin").format(sql.SQL(", ").join(map(sql.Identifier, _STUDY_COLUMNS)))
    now = clock.now()
    with connection.cursor().copy(copied) as copy:
        for values, own in zip(batch, keys, strict=True):
            study_id = ids.uuid7()
            modality = random.choice(_MODALITIES)  # noqa: S311
            day = date.fromisoformat(values[attributes.STUDY_DATE])
            equal = searching.equality_tokens(values, token)
            sealed = sealing.seal_values(keyring, own, "study", study_id, values)
            subject = UUID(int=int(values[attributes.PATIENT_ID][3:]) + (1 << 64))
            copy.write_row((
                tenant, study_id, fresh_uid(), subject, subject, bytes(own), bytes(own), day, [modality],
                ["1.2.840.10008.5.1.4.1.1.2"], 1, 100, 52_500_000,
                token("patient", values[attributes.PATIENT_ID]), equal["patient_id_token"], equal["accession_token"],
                equal["birth_token"], sealed, now, now,
            ))  # fmt: skip
            terms = searching.terms_of_study(values) | {searching.modality_term(modality)}
            tokens += [(tenant, one, day, study_id) for one in {token(*term) for term in terms}]
    with connection.cursor().copy("copy study_token (tenant, token, study_date, study_id) from stdin") as copy:
        for row in tokens:
            copy.write_row(row)


def kinds(invented: Invented, patients: int) -> dict[str, Callable[[], str]]:
    """The searches, each time another one."""
    dice = random.Random(5)  # noqa: S311

    def family() -> str:
        return invented.families(1)[0].upper()

    def month() -> str:
        day = _FIRST_DAY + timedelta(days=dice.randrange(_DAYS - 40))
        return f"StudyDate={day:%Y%m}01-{day:%Y%m}28"

    return {
        "PatientID": lambda: f"PatientID=PID{dice.randrange(patients):07d}",
        "name, 3 letters*": lambda: f"PatientName={family()[:3]}*",
        "name, whole family*": lambda: f"PatientName={family()}^*",
        "*5 letters*": lambda: f"PatientName=*{family()[1:6]}*",
        "family^given*": lambda: f"PatientName={family()}^{dice.choice(_SYLLABLES)}*",
        "mistyped name": lambda: f"PatientName={_mistyped(family(), dice)}&fuzzymatching=true",
        "name, 2 years, modality": lambda: (
            f"PatientName={family()[:4]}*&StudyDate=20230101-20241231&ModalitiesInStudy={dice.choice(_MODALITIES)}"
        ),
        "month and modality": lambda: f"{month()}&ModalitiesInStudy={dice.choice(_MODALITIES)}",
        "description word": lambda: f"StudyDescription=*{dice.choice(_WORDS).upper()}*",
        "newest": lambda: "",
        "page at 9,900": lambda: "offset=9900",
    }


def _mistyped(name: str, dice: random.Random) -> str:
    at = dice.randrange(len(name))
    return name[:at] + dice.choice("AEIOU") + name[at + 1 :]


def searched(server: Server, made: dict[str, Callable[[], str]], count: int) -> Iterator[str]:
    """Lines of the table."""
    yield f"{'search':<26} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>8}  (CPU: whole process tree, database included)"
    for name, query in made.items():
        reader = loads.Reader(server)
        for _ in range(3):
            reader.get(f"/studies?limit=50&{query()}", "application/dicom+json")
        with meter.Meter(server.pid) as cost:
            took = sorted(reader.get(f"/studies?limit=50&{query()}", "application/dicom+json")[0] for _ in range(count))
        reader.close()
        p50, p95 = took[count // 2] * 1000, took[int(count * 0.95)] * 1000
        yield f"{name:<26} {p50:8.2f} {p95:8.2f} {cost.cpu_seconds * 1000 / count:8.2f}"


def say(line: str) -> None:
    """Progress goes to standard error."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main() -> int:
    """Load, search, print, tidy up."""
    parser = argparse.ArgumentParser(prog="bench.search_million", description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000_000)
    parser.add_argument("--searches", type=int, default=200, help="of each kind")
    parser.add_argument("--notice", type=Path, default=_ROOT / "notices" / "imaging-cloud")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))  # noqa: S108
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="troth-searched-", dir=chosen.folder))
    folder.chmod(0o711)
    server: Server | None = None
    try:
        server = troth.start(folder / "troth", chosen.notice)
        invented = Invented(3)
        _, patients = load(server, chosen.studies, invented)
        sys.stdout.write(f"{chosen.studies} studies of {patients} people\n")
        for line in searched(server, kinds(invented, patients), chosen.searches):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
