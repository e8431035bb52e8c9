"""Write src/troth/dicom/dictionary.tsv: tag, value representation and keyword of DICOM PS3.6, from pydicom's tables."""

from __future__ import annotations

from pathlib import Path

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

TARGET = Path(__file__).parents[1] / "src" / "troth" / "dicom" / "dictionary.tsv"


def lines() -> list[str]:
    standard = [f"{tag:08X}\t{entry[0]}\t{entry[4]}" for tag, entry in sorted(DicomDictionary.items())]
    repeating = [f"{mask.lower()}\t{entry[0]}\t{entry[4]}" for mask, entry in sorted(RepeatersDictionary.items())]
    return standard + repeating


if __name__ == "__main__":
    TARGET.write_text("\n".join(lines()) + "\n")
