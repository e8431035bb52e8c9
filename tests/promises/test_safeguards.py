"""The register of safeguards: every measure is looked at live, and a broken one is reported as broken.

Each look is broken once, on the platform that it had passed on a moment before: by hand, past every door, as somebody
with the machine in their hands would.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from tests.common.deployment import Deployment, OpenDeployment
from tests.common.platform import OneDatabase
from troth.kit.postgres import SUPERUSER, EmbeddedServer
from troth.main import beside, commands
from troth.main.capabilities import serves
from troth.notice import Notice
from troth.proofs import Proofs, Report, Site, Standing, is_signed
from troth.proofs.service import WHOLE


@dataclass
class Look:
    """A deployment with something in it, and what `troth verify` looks at."""

    place: Deployment
    site: Site
    notice: Notice
    superuser: str

    @property
    def settings(self) -> Any:
        return self.place.rooms.settings

    async def report(self, site: Site | None = None) -> Report:
        await self.place.sequencer.drain()
        rooms = self.place.rooms
        proofs = Proofs(rooms.database, rooms.ledger, rooms.dsn_sequencer, site or self.site, rooms.notices, serves())
        return await proofs.report(self.notice)

    def sql(self, statement: str) -> None:
        """Past every door: as the owner of the machine."""
        with psycopg.connect(self.superuser, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[arg-type]


async def opened(open_deployment: OpenDeployment, postgres: EmbeddedServer, name: str) -> Look:
    place = await open_deployment(name)
    if name == "imaging-cloud":
        held = await place.study()
        doctor = await place.staff("clinician")
        assert (await doctor.viewer.get(f"/dicomweb/studies/{held.uid}/metadata")).status_code == 200
    rooms = place.rooms
    database = psycopg.conninfo.conninfo_to_dict(rooms.dsn_sequencer)["dbname"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = rooms.settings.data_dir
    site = Site(
        folder / "keys",
        folder / "packs",
        postgres.cluster,
        {"pages": ("127.0.0.1", port)},
        False,
        rooms.registers.altered,
    )
    notice = (await rooms.notices.current())[-1].notice
    return Look(place, site, notice, postgres.dsn(SUPERUSER, str(database)))


@pytest.fixture(scope="module")
async def cloud(open_deployment: OpenDeployment, postgres: EmbeddedServer) -> Look:
    return await opened(open_deployment, postgres, "imaging-cloud")


def of(report: Report, measure: str) -> list[bool | None]:
    return [check.holds for check in report.safeguards if check.measure == measure]


@contextmanager
def open_key(look: Look) -> Iterator[Site]:
    key = look.site.keys / "root.key"
    key.chmod(0o644)
    yield look.site
    key.chmod(0o600)


@contextmanager
def bare_image(look: Look) -> Iterator[Site]:
    path = look.site.packs / f"{'0' * 32}.pack"
    path.write_bytes(b"TROTHPCK" + bytes(24) + b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00")
    yield look.site
    path.unlink()


@contextmanager
def bare_record(look: Look) -> Iterator[Site]:
    look.sql("create table leak (id int, plain bytea)")
    look.sql("""insert into leak values (1, convert_to('{"patient_id":"P-1","birth_date":"1970-01-01"}', 'UTF8'))""")
    look.sql("checkpoint")
    yield replace(look.site)
    look.sql("drop table leak")


@contextmanager
def open_table(look: Look) -> Iterator[Site]:
    look.sql("alter table study no force row level security")
    yield look.site
    look.sql("alter table study force row level security")


@contextmanager
def strong_role(look: Look) -> Iterator[Site]:
    look.sql("alter role troth_app bypassrls")
    yield look.site
    look.sql("alter role troth_app nobypassrls")


@contextmanager
def kept_cookie(look: Look) -> Iterator[Site]:
    look.sql("alter table session add column cookie text")
    yield look.site
    look.sql("alter table session drop column cookie")


@contextmanager
def kept_password(look: Look) -> Iterator[Site]:
    look.sql("alter table account add column password_hash text")
    yield look.site
    look.sql("alter table account drop column password_hash")


@contextmanager
def open_line(look: Look) -> Iterator[Site]:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        yield replace(look.site, listeners={"dicom": ("127.0.0.1", port)})


@contextmanager
def altered_book(look: Look) -> Iterator[Site]:
    look.sql(
        "update ledger_entry set purpose = purpose || 'x' where id = (select id from ledger_entry order by id limit 1)"
    )
    yield look.site
    look.sql("update ledger_entry set purpose = left(purpose, -1) where purpose like '%x'")


@contextmanager
def altered_notice(look: Look) -> Iterator[Site]:
    look.sql("update notice_version set source = source || 'x'")
    yield look.site
    look.sql("update notice_version set source = left(source, -1)")


BROKEN: list[tuple[Callable[[Look], Any], str]] = [
    (open_key, "sealed_at_rest"),
    (bare_image, "sealed_at_rest"),
    (open_table, "apart"),
    (strong_role, "apart"),
    (kept_cookie, "live_session"),
    (kept_password, "no_open_door"),
    (open_line, "sealed_in_transit"),
    (altered_book, "tamper_evident"),
    (altered_notice, "tamper_evident"),
    (bare_record, "sealed_at_rest"),  # last: the write-ahead log keeps what it saw
]


@pytest.mark.promise("IC-10")
@pytest.mark.promise("IH-11")
@pytest.mark.promise("TV-22")
@pytest.mark.parametrize(("broken", "measure"), BROKEN, ids=[each.__name__ for each, _ in BROKEN])
async def test_a_broken_safeguard_is_reported(cloud: Look, broken: Any, measure: str) -> None:
    before = await cloud.report()
    assert all(of(before, measure)), before.safeguards
    with broken(cloud) as site:
        report = await cloud.report(site)
    assert False in of(report, measure)
    others = {check.measure for check in report.safeguards if check.holds is False} - {measure}
    assert others == set()
    named = [promise for promise in report.promises if any(each.measure == measure for each in promise.checked)]
    assert named
    assert {promise.standing for promise in named} == {Standing.BROKEN}


@pytest.mark.promise("IC-10")
async def test_every_measure_is_looked_at_and_what_cannot_be_shown_is_unproven(cloud: Look) -> None:
    report = await cloud.report()
    assert of(report, "backups") == [None]
    assert report.count(Standing.KEPT) > 0


@pytest.mark.promise("IC-10")
@pytest.mark.promise("IH-11")
@pytest.mark.promise("TV-22")
@pytest.mark.parametrize("name", ["imaging-cloud", "imaging-host", "terminology-vendor"])
async def test_troth_verify_reports_every_check_as_json_and_as_signed_pdf(
    open_deployment: OpenDeployment,
    postgres: EmbeddedServer,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    look = await opened(open_deployment, postgres, name)
    await look.place.sequencer.drain()
    database = psycopg.conninfo.conninfo_to_dict(look.place.rooms.dsn_sequencer)["dbname"]
    served: Any = SimpleNamespace(server=postgres, name=database)
    monkeypatch.setattr(beside, "running", lambda settings: (OneDatabase(served), False))
    folder, row = str(look.settings.data_dir), {"imaging-cloud": "IC-10", "imaging-host": "IH-11"}.get(name, "TV-22")

    async def verify(*more: str) -> Any:
        arguments = ["verify", "--data-dir", folder, "--notice", str(look.settings.notice[0]), *more]
        return await asyncio.to_thread(CliRunner().invoke, commands.app, arguments)

    paper = tmp_path / "report.pdf"
    told = await verify("--json", "--pdf", str(paper))
    # Nothing is broken; but the tables lie on another machine as this one is set up, so nobody can read them from here.
    assert told.exit_code == 2, told.output
    for report in json.loads(told.stdout):
        holds = [(each["measure"], each["holds"]) for each in report["safeguards"]]
        assert {measure for measure, held in holds if held} >= {
            "sealed_in_transit", "sealed_at_rest", "tamper_evident", "no_open_door", "live_session", "apart",
        }  # fmt: skip
        assert ("backups", None) in holds
        assert False not in [held for _, held in holds]
    kept = [one for report in json.loads(told.stdout) for one in report["promises"]]
    kept = [one for one in kept if row in one["promises"] and one["checked"]]
    whole = [one for one in kept if {each["measure"] for each in one["checked"]} <= WHOLE]
    assert {one["standing"] for one in whole if not one["is_blind"]} == {"kept"}
    assert {each["measure"] for one in kept if one["is_blind"] for each in one["checked"]} == {"sealed_at_rest"}
    assert {one["standing"] for one in kept} <= {"kept", "unproven"}
    pdf, signature = paper.read_bytes(), paper.with_name("report.pdf.sig").read_text()
    assert pdf.startswith(b"%PDF-")
    assert is_signed(pdf, signature, look.place.rooms.keyring.public_key)
    assert not is_signed(pdf + b"x", signature, look.place.rooms.keyring.public_key)
    assert not is_signed(pdf, signature, bytes(32))

    copy = look.site.keys / "copy.key"
    copy.write_bytes((look.site.keys / "root.key").read_bytes())
    copy.chmod(0o644)
    told = await verify("--json")
    copy.unlink()
    assert told.exit_code == 1
    broken = [each for report in json.loads(told.stdout) for each in report["safeguards"] if each["holds"] is False]
    assert {each["measure"] for each in broken} == {"sealed_at_rest"}
