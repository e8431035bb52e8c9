"""The workflow engine for real: what is done stays done, a killed process is taken up, nothing personal is kept."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from troth.kit.durable import APPLICATION_VERSION, Durable, StepFailed, _refuse_text, _Stopping, _Words
from troth.kit.ids import uuid7
from troth.kit.postgres import EmbeddedServer

# A process that runs one workflow of three steps; the second kills it the first time. It has no socket module of its
# own, so that an engine that called anybody over Python's sockets would fail.
WORKER = """
import asyncio, os, signal, socket, sys
from pathlib import Path
from troth.kit.durable import Durable, StepFailed

def connect(self, address):
    raise SystemExit(f"it called {address}")

socket.socket.connect = connect
dsn, notes, workflow, executor, mode = sys.argv[1:]
notes = Path(notes)

def note(word):
    with notes.open("a") as file:
        file.write(word + "\\n")

async def main():
    durable = Durable(dsn, executor, attempts=2, first_wait_seconds=0.01)
    async def first(key): note("first"); return 7
    async def second(key):
        note("second")
        if mode == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return ["a", key]
    async def failing(key): note("failing"); raise ValueError("Jane Doe, born 1970")
    async def last(key, seen): note("last " + str(seen))
    def body(key):
        number = durable.step("first", first, key)
        word = durable.step("second " + key, second, key)[0]
        try:
            durable.step("failing", failing, key)
        except durable.Failed:
            durable.step("last", last, key, f"{number}{word}")
    durable.register("test.body", body)
    await durable.launch()
    if mode == "die":
        await durable.start("test.body", workflow, "key-1")
        await durable.start("test.body", workflow, "key-1")
    for _ in range(600):
        if "last" in notes.read_text():
            break
        await asyncio.sleep(0.05)
    await durable.stop()

notes.touch()
asyncio.run(main())
"""


def rows(dsn: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def test_a_killed_process_is_taken_up_under_its_name(postgres: EmbeddedServer, tmp_path: Path) -> None:
    dsn = postgres.dsn("troth_flow", "troth_flow")
    notes, workflow, executor = tmp_path / "notes", str(uuid7()), f"place-{uuid7()}"

    def run(mode: str) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-c", WORKER, dsn, str(notes), workflow, executor, mode]
        return subprocess.run(command, capture_output=True, timeout=120)

    killed = run("die")
    assert killed.returncode == -9, killed.stderr.decode()
    assert notes.read_text().split("\n")[:-1] == ["first", "second"]
    taken_up = run("live")
    assert taken_up.returncode == 0, taken_up.stderr.decode()
    # What was done is not done again; what was interrupted is.
    assert notes.read_text().split("\n")[:-1] == ["first", "second", "second", "failing", "failing", "last 7a"]
    assert killed.stdout + killed.stderr + taken_up.stdout == b""
    # Only our own word on a step that failed, and nothing of what it failed with.
    said = taken_up.stderr.decode().splitlines()
    assert said == ["step failing did not succeed: ValueError"] * 2

    ((version, place, status),) = rows(
        dsn,
        "select application_version, executor_id, status from dbos.workflow_status where workflow_uuid = %s",
        workflow,
    )
    assert (version, place, status) == (APPLICATION_VERSION, executor, "SUCCESS")
    kept = rows(
        dsn,
        "select function_name, output, error from dbos.operation_outputs where workflow_uuid = %s order by function_id",
        workflow,
    )
    assert [name for name, _, _ in kept] == ["first", "second key-1", "failing", "last"]
    assert "Doe" not in str(kept)
    assert [json.loads(output) for _, output, _ in kept if output] == [7, ["a", "key-1"], None]


@pytest.mark.asvs("V1.3.3")
@pytest.mark.parametrize(
    "text", ["Jane Doe", "jane@example.org", "é", "a" * 65, b"bytes", object(), {"a": "two words"}, [["x", "y z"]]]
)
def test_what_is_not_a_short_word_is_refused(text: Any) -> None:
    with pytest.raises(TypeError):
        _Words().serialize(text)


@pytest.mark.asvs("V1.5.2")
@pytest.mark.parametrize(
    "words", [None, True, 3, 1.5, "", "erase", str(UUID(int=7)), ["a", 1, {"b": None}], {"n": ["x"]}]
)
def test_numbers_and_short_words_come_back(words: Any) -> None:
    _refuse_text(words)
    assert _Words().deserialize(_Words().serialize(words)) == words


def test_errors_are_kept_by_name_alone() -> None:
    kept = _Words().serialize(ValueError("Jane Doe"))
    assert "Doe" not in kept
    back = _Words().deserialize(kept)
    assert isinstance(back, StepFailed)
    assert back.detail == "ValueError"


async def test_a_step_under_way_at_the_end_is_interrupted_and_not_failed(postgres: EmbeddedServer) -> None:
    durable = Durable(postgres.dsn("troth_flow", "troth_flow"), f"place-{uuid7()}", attempts=2, first_wait_seconds=0.01)
    started, go_on, ended = asyncio.Event(), asyncio.Event(), []

    async def waits(key: str) -> None:
        started.set()
        await go_on.wait()
        ended.append(key)

    def body(key: str) -> None:
        durable.sleep(0.01)
        durable.step("waits", waits, key)

    durable.register("test.waits", body)
    with pytest.raises(_Stopping):  # not launched
        durable._run("waits", waits, ("x",))
    await durable.launch()
    workflow = str(uuid7())
    await durable.start("test.waits", workflow, "key")
    await asyncio.wait_for(started.wait(), 20)
    await durable.stop()  # interrupted, not failed: the next launch under this name goes on with it
    assert ended == []
    dsn = postgres.dsn("troth_flow", "troth_flow")
    assert rows(dsn, "select status from dbos.workflow_status where workflow_uuid = %s", workflow) == [("PENDING",)]
    assert rows(dsn, "select function_name from dbos.operation_outputs where workflow_uuid = %s", workflow) == [
        ("DBOS.sleep",)
    ]
