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
from troth.kit.passwords import SUPERUSER
from troth.kit.postgres import EmbeddedServer
from troth.main import beside, commands
from troth.main.capabilities import serves
from troth.notice import Notice
from troth.proofs import Proofs, Report, Site, Standing, apart, is_signed
from troth.proofs.service import WHOLE, measures_of


@dataclass
class Look:
    """A deployment with something in it, and what `troth verify` looks at."""

    place: Deployment
    site: Site
    notice: Notice
    superuser: str
    is_empty: bool  # no image lies in the raw bytes
    first: Report | None = None

    @property
    def settings(self) -> Any:
        return self.place.rooms.settings

    async def report(self, site: Site | None = None) -> Report:
        await self.place.sequencer.drain()
        rooms = self.place.rooms
        proofs = Proofs(rooms.database, rooms.ledger, rooms.dsn_sequencer, site or self.site, rooms.notices, serves())
        return await proofs.report(self.notice)

    async def before(self) -> Report:
        """What was reported before anything was broken."""
        if self.first is None:
            self.first = await self.report()
        return self.first

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
        rooms.registers.bound,
        rooms.registers.held,
    )
    notice = (await rooms.notices.current())[-1].notice
    return Look(place, site, notice, postgres.dsn(SUPERUSER, str(database)), name != "imaging-cloud")


@pytest.fixture(scope="module")
def looks() -> dict[str, Look]:
    return {}


@pytest.fixture
async def look(
    request: pytest.FixtureRequest, looks: dict[str, Look], open_deployment: OpenDeployment, postgres: EmbeddedServer
) -> Look:
    """One of the deployments; each is opened once."""
    if request.param not in looks:
        looks[request.param] = await opened(open_deployment, postgres, request.param)
    return looks[request.param]


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


def lie(name: str, told: str, undone: str) -> Callable[[Look], Any]:
    """Something that was done to the database past every door, and how it is undone."""

    @contextmanager
    def lied(look: Look) -> Iterator[Site]:
        look.sql(told)
        yield look.site
        look.sql(undone)

    lied.__name__ = name
    return lied


_OWN = "tenant = nullif(current_setting('app.tenant', true), '')::uuid"
APART = (
    lie("row_security_not_forced", "alter table study no force row level security",
        "alter table study force row level security"),
    lie("policy_for_all", "alter policy own_tenant on study using (true)",
        f"alter policy own_tenant on study using ({_OWN})"),
    lie("second_policy", "create policy more on instance for select using (true)", "drop policy more on instance"),
    lie("strong_role", "alter role troth_app bypassrls", "alter role troth_app nobypassrls"),
    lie("role_in_a_role", "create role beyond bypassrls; create role between; grant beyond to between;"
        " grant between to troth_app", "drop role between; drop role beyond"),
    lie("definer_function", "create function every_study() returns setof study language sql security definer as"
        " 'select * from study'", "drop function every_study()"),
    lie("altered_function", "alter function ledger_append(jsonb) security definer",
        "alter function ledger_append(jsonb) security invoker"),
    lie("grant_of_delete", "grant delete on ledger_entry to troth_app", "revoke delete on ledger_entry from troth_app"),
    lie("grant_of_a_column", "grant update (leaf) on ledger_leaf to troth_app",
        "revoke update (leaf) on ledger_leaf from troth_app"),
    lie("trigger_off", "alter table study disable trigger study_owned", "alter table study enable trigger study_owned"),
    lie("foreign_keys_off", "alter table subject_account disable trigger all",
        "alter table subject_account enable trigger all"),
    lie("as_a_replica", "alter role troth_app set session_replication_role = replica",
        "alter role troth_app reset session_replication_role"),
    lie("view_of_the_owner", "create view all_studies as select * from study; grant select on all_studies to troth_app",
        "drop view all_studies"),
    lie("other_owner", "alter table study owner to troth_app",
        "alter table study owner to troth_owner; grant select, insert, update, delete on study to troth_app"),
    lie("further_schema", "create schema beside; create table beside.study as select * from study",
        "drop schema beside cascade"),
)  # fmt: skip


@contextmanager
def broken_image(look: Look) -> Iterator[Site]:
    """An image that was read back and is not what was stored; where none is held, its row alone."""
    look.sql(
        "set session_replication_role = replica; insert into instance select (jsonb_populate_record(null::instance,"
        " jsonb_build_object('tenant', o.id, 'id', o.id, 'series_id', o.id, 'instance_uid', '2.25.1', 'sop_class', '1',"
        " 'syntax', '1', 'frames', 1, 'head_locator', '\\x01', 'head_bytes', 1, 'bulk_bytes', 0, 'frame_table', '\\x',"
        " 'sealed', '\\x', 'stored_at', now()))).* from organisation o order by o.id limit 1; insert into"
        " broken_instance select tenant, id, id, 'head', now() from instance where instance_uid = '2.25.1'"
    )
    yield look.site
    look.sql("delete from broken_instance; delete from instance where instance_uid = '2.25.1'")


@contextmanager
def backup_whose_keys_expired(look: Look) -> Iterator[Site]:
    look.sql(
        "insert into backup select (jsonb_populate_record(null::backup, jsonb_build_object('id', gen_random_uuid(),"
        " 'stamp', 's', 'folder', 'f', 'keys_folder', 'k', 'made_at', now() - interval '9 days', 'keys_expire_at',"
        " now() - interval '1 day', 'verified_at', now() - interval '9 days', 'counts', '{}'))).*"
    )
    yield look.site
    look.sql("delete from backup")


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
    look.sql("set session_replication_role = replica; update notice_version set source = source || 'x'")
    yield look.site
    look.sql("set session_replication_role = replica; update notice_version set source = left(source, -1)")


BROKEN: list[tuple[Callable[[Look], Any], str]] = [
    (open_key, "sealed_at_rest"),
    (bare_image, "sealed_at_rest"),
    *((each, "apart") for each in APART),
    (kept_cookie, "live_session"),
    (kept_password, "no_open_door"),
    (open_line, "sealed_in_transit"),
    (altered_book, "tamper_evident"),
    (altered_notice, "tamper_evident"),
    (broken_image, "intact"),
    (backup_whose_keys_expired, "backups"),
    (bare_record, "sealed_at_rest"),  # last: the write-ahead log keeps what it saw
]
ROWS = {"imaging-cloud": "IC-10", "imaging-host": "IH-11", "terminology-vendor": "TV-22"}
_UNSHOWN = {"intact", "backups"}  # nothing was read back, and no backup made: nothing shows them yet


@pytest.mark.parametrize(
    ("look", "broken", "measure"),
    [
        pytest.param(
            name, broken, measure, id=f"{name}-{broken.__name__}", marks=pytest.mark.promise(row, shows="checks")
        )
        for broken, measure in BROKEN
        for name, row in ROWS.items()
    ],
    indirect=["look"],
)
async def test_a_broken_safeguard_is_reported(look: Look, broken: Any, measure: str) -> None:
    before = await look.before()
    assert False not in of(before, measure), before.safeguards
    assert all(of(before, measure)) or measure in _UNSHOWN or look.is_empty
    with broken(look) as site:
        report = await look.report(site)
    assert False in of(report, measure)
    others = {check.measure for check in report.safeguards if check.holds is False} - {measure}
    besides = {"bare_record": {"apart"}}  # a table that is not the program's
    assert others == besides.get(broken.__name__, set())
    named = [promise for promise in report.promises if any(each.measure == measure for each in promise.checked)]
    assert bool(named) == (measure in {each for clause in look.notice.clauses for each in measures_of(clause)})
    assert {promise.standing for promise in named} <= {Standing.BROKEN}


async def test_the_try_alone_finds_what_the_catalogue_would_not(cloud: Look) -> None:
    """As the doors' role: rows of one organisation are looked for from another one and from none."""
    rooms = cloud.place.rooms
    sound = await apart.probe(rooms.database)
    assert (sound.foreign, sound.unowned) == ((), ())
    assert sound.tables > 30
    assert sound.rows > 5
    assert apart.tried(apart.Probe(40, 0)).holds is None
    cloud.sql("alter policy own_tenant on membership using (true)")
    opened = await apart.probe(rooms.database)
    cloud.sql(f"alter policy own_tenant on membership using ({_OWN})")
    assert (opened.foreign, opened.unowned) == (("membership",), ("membership",))
    assert apart.tried(opened).holds is False
    assert apart.tried(replace(opened, foreign=())).holds is False


async def test_what_was_altered_in_the_database_is_named(cloud: Look) -> None:
    cloud.sql("alter policy own_tenant on study using (true)")
    report = await cloud.report()
    cloud.sql(f"alter policy own_tenant on study using ({_OWN})")
    [found, _] = [check.found for check in report.safeguards if check.measure == "apart"]
    assert "policy study: own_tenant" in found
    assert "using true" in found


@pytest.mark.asvs("V14.2.4")
@pytest.mark.promise("IC-10", shows="checks")
async def test_every_measure_is_looked_at_and_what_cannot_be_shown_is_unproven(cloud: Look) -> None:
    report = await cloud.report()
    assert of(report, "backups") == [None]
    assert report.count(Standing.KEPT) > 0


@pytest.mark.promise("IC-10", shows="checks")
@pytest.mark.promise("IH-11", shows="checks")
@pytest.mark.promise("TV-22")
@pytest.mark.promise("IH-01", shows="verify")
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
        assert {"form sign_in on site", "form rights_request on portal", "listener DICOM on dimse"} <= set(
            report["collecting"]
        )
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
