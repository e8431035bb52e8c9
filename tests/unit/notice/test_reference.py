"""The reference pages are those of the program."""

from __future__ import annotations

from pathlib import Path

from troth.notice import clauses, reference


def test_every_kind_has_its_page_and_the_pages_are_current(tmp_path: Path) -> None:
    pages = reference.pages()
    assert set(pages) == {"README.md", *(f"{kind}.md" for kind in clauses.registry())}
    kept = {file.name: file.read_text(encoding="utf-8") for file in reference.FOLDER.glob("*.md")}
    assert kept == pages, "run: python -m troth.notice.reference"
    reference.write(tmp_path / "new")
    assert {file.name for file in (tmp_path / "new").iterdir()} == set(pages)
    assert "| `bands` | yes |" in pages["minor.md"]
    assert "## `bands`" in pages["minor.md"]
