from __future__ import annotations

from pathlib import Path

import pytest

from troth.main.settings import load


@pytest.mark.conformance("setting *")
def test_until_told_otherwise_it_is_on_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AE", "DICOM", "HTTP", "VIEWER"):
        monkeypatch.delenv(f"TROTH_{name}", raising=False)
    settings = load(tmp_path)
    assert (settings.ae, str(settings.dicom)) == ("TROTH", "127.0.0.1:11112")
    assert (str(settings.http), str(settings.viewer)) == ("127.0.0.1:8080", "127.0.0.1:8081")
