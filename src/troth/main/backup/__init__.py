"""Backups: made beside a running node, followed by every erasure, restored into an empty folder.

A backup folder holds, for each backup, ``database-<stamp>`` (a physical copy with the log that makes it whole) and
``manifest-<stamp>.json`` with its signature; in common ``packs`` (copied by what has changed) and ``erasures`` (what
was erased since, and the newest signed state of the ledger; signed, and nothing personal). The keys lie apart: see
`troth.vault.escrow`. Nothing that steers a program is taken from a backup: see `troth.main.backup.files`.
"""

from troth.main.backup.erasures import Erasures
from troth.main.backup.following import Following
from troth.main.backup.making import Made, Wanted, make
from troth.main.backup.manifest import Manifest, stamps
from troth.main.backup.restoring import Restored, Source, restore

__all__ = [
    "Erasures",
    "Following",
    "Made",
    "Manifest",
    "Restored",
    "Source",
    "Wanted",
    "make",
    "restore",
    "stamps",
]
