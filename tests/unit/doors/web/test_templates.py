"""What every template keeps to, read from the templates themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from troth.doors import web

FOLDER = Path(web.__file__).parent
STACKED = sorted(path for path in FOLDER.rglob("*.html") if "is-stack" in path.read_text())


@pytest.mark.parametrize("path", STACKED, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_a_cell_of_a_stacked_table_says_its_column(path: Path) -> None:
    """On a phone the head of the table is not seen: all but what names the row and what speaks for itself say it."""
    for table in re.findall(r"<table[^>]*is-stack[^>]*>(.*?)</table>", path.read_text(), re.DOTALL):
        head, _, body = table.partition("</thead>")
        columns = len(re.findall(r"<th ", head))
        body = body.partition("<tfoot>")[0]
        cells = re.findall(r"<td(?P<attributes>[^>]*)>(?P<rest>.{0,60})", body)
        assert cells or columns < 2
        silent = [rest for attributes, rest in cells if "data-l=" not in attributes and not _speaks(attributes, rest)]
        assert len(silent) <= 1, f"beside one that is the sentence of the row, these lack data-l: {silent}"


def _speaks(attributes: str, rest: str) -> bool:
    """An act in the last column, or a cell without words."""
    return 'class="n"' in attributes or rest.startswith(("</td>", "<form", "<a "))
