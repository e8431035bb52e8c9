"""The zip as other programs read it."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from troth.kit import zipping
from troth.kit.zipping import ZipWriter

AT = datetime(2026, 11, 22, 14, 5, 6, tzinfo=UTC)
FILES = {"README.TXT": b"read me", "DICOM/ST000001/SE000001/IM000001": b"\x00" * 70_000, "EMPTY": b""}


def written(files: dict[str, bytes], step: int = 10_000) -> tuple[bytes, dict[str, str]]:
    out = io.BytesIO()
    archive = ZipWriter(out.write, AT)
    digests = {}
    for name, content in files.items():
        entry = archive.open(name)
        for start in range(0, len(content), step):
            entry.write(content[start : start + step])
        digests[name] = entry.close()
    archive.finish()
    return out.getvalue(), digests


@pytest.mark.parametrize("gathered", [1 << 20, 1000], ids=["sizes before", "sizes afterwards"])
@pytest.mark.parametrize("large", [0xFFFFFFFF, 50], ids=["32 bits", "64 bits"])
@pytest.mark.parametrize("many", [0xFFFF, 2], ids=["few", "many"])
def test_other_programs_read_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gathered: int, large: int, many: int
) -> None:
    monkeypatch.setattr(zipping, "GATHERED_BYTES", gathered)
    monkeypatch.setattr(zipping, "LARGE", large)
    monkeypatch.setattr(zipping, "MANY", many)
    content, digests = written(FILES)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert {entry.filename: archive.read(entry) for entry in archive.infolist()} == FILES
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        assert archive.infolist()[0].date_time == (2026, 11, 22, 14, 5, 6)
    assert digests == {name: hashlib.sha256(each).hexdigest() for name, each in FILES.items()}
    path = tmp_path / "copy.zip"
    path.write_bytes(content)
    subprocess.run(["unzip", "-tq", path], check=True, stdout=subprocess.DEVNULL)
