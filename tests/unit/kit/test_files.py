"""Files that are there whole or not at all, where the disk takes only a part."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from troth.kit import files
from troth.kit.files import anew, write_whole
from troth.vault import KeyRef, journal
from troth.vault.copying import copy_sparse

_LIMIT = 1000


def limited() -> None:
    """A file of this process takes 1000 octets: the kernel cuts the write that goes beyond short, as a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, _LIMIT))


def run(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.run(command, preexec_fn=limited, capture_output=True, text=True, check=False)


def test_what_is_written_is_there_and_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    for content in (bytes(5000), b"new", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_was_cut_short_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    write_whole(path, b"good")
    code = "import sys; from pathlib import Path; from troth.kit.files import write_whole\n"
    code += "write_whole(Path(sys.argv[1]), bytes(int(sys.argv[2])))"
    refused = run(code, path, 5000)
    assert (refused.returncode, "OSError: [Errno 27]" in refused.stderr) == (1, True), refused.stderr
    assert path.read_bytes() == b"good"
    assert list(tmp_path.iterdir()) == [path], "and nothing lies about"
    assert run(code, path, _LIMIT).returncode == 0, "the same call succeeds where there is room"
    assert path.read_bytes() == bytes(_LIMIT)


def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with anew(path) as one, anew(path) as other:
        one.write(b"one")
        other.write(b"other")
        assert not path.exists()
        assert len({*tmp_path.iterdir()}) == 2
    assert path.read_bytes() == b"one", "whoever ends last"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_written_through_what_somebody_put_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the name could be guessed: whatever has it already stops the write."""
    path, outside = tmp_path / "manifest.json", tmp_path / "outside"
    outside.write_bytes(b"of root")
    path.symlink_to(outside)
    write_whole(path, b"whole")
    assert (path.is_symlink(), path.read_bytes(), outside.read_bytes()) == (False, b"whole", b"of root")
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "guessed")
    beside = tmp_path / "manifest.json.guessed.new"
    for lay in (beside.symlink_to, beside.hardlink_to):
        lay(outside)
        with pytest.raises(FileExistsError):
            write_whole(path, b"again")
        beside.unlink()
    assert (path.read_bytes(), outside.read_bytes()) == (b"whole", b"of root")
    write_whole(path, b"again")
    assert path.read_bytes() == b"again"


def test_a_copy_that_was_cut_short_is_none(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    code = "import sys; from pathlib import Path; from troth.vault.copying import copy_sparse\n"
    code += "copy_sparse(Path(sys.argv[1]), Path(sys.argv[2]))"
    source.write_bytes(b"x" * 5000)
    refused = run(code, source, target)
    assert (refused.returncode, "OSError: [Errno 27]" in refused.stderr) == (1, True), refused.stderr
    assert list(tmp_path.iterdir()) == [source]
    source.write_bytes(b"x" * 700 + bytes(300))
    assert run(code, source, target).returncode == 0
    assert target.read_bytes() == source.read_bytes()
    # The journal of destroyed keys, as a backup takes it along: records of 32 octets.
    keys, copied = tmp_path / "destroyed", tmp_path / "copied"
    journal.append(keys, [KeyRef(number.to_bytes(16, "big")) for number in range(40)])
    code = "import sys; from pathlib import Path; from troth.vault import journal\n"
    code += "journal.copy(Path(sys.argv[1]), Path(sys.argv[2]))"
    refused = run(code, keys, copied)
    assert (refused.returncode, "OSError: the disk took a part only" in refused.stderr) == (1, True), refused.stderr
    hole = tmp_path / "hole"
    hole.write_bytes(b"a" + bytes(3 << 20) + b"z" + bytes(3 << 20))
    assert copy_sparse(hole, target)[0] == hole.stat().st_size
    assert target.read_bytes() == hole.read_bytes()
