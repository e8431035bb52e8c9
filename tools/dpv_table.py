"""Make the table of categories of personal data that a notice may name, from the published Data Privacy Vocabulary.

python tools/dpv_table.py FOLDER     FOLDER holds `pd.csv` and `dpv.csv` of DPV 2.3
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

TABLE = Path(__file__).parents[1] / "src" / "troth" / "notice" / "dpv_categories.txt"
_KIND = "https://w3id.org/dpv#PersonalData"


def terms(folder: Path) -> list[str]:
    """The categories, as `prefix:Term`."""
    found = set()
    for name, prefix in (("pd.csv", "dpv-pd"), ("dpv.csv", "dpv")):
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["type"] == "class"]
        found |= {f"{prefix}:{row['term']}" for row in rows if _is_category(row)}
    return sorted(found)


def _is_category(row: dict[str, str]) -> bool:
    return row["iri"] == _KIND or _KIND in ";".join((row["dpvtype"], row["subclassof"], row["hasbroader"])).split(";")


if __name__ == "__main__":
    made = terms(Path(sys.argv[1]))
    TABLE.write_text("\n".join(made) + "\n", encoding="utf-8")
    sys.stdout.write(f"{TABLE}: {len(made)} categories\n")
