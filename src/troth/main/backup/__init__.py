"""Backups: made beside a running node, followed by every erasure, restored into an empty folder.

A backup folder holds, for each backup, ``database-<stamp>`` (a physical copy with the log that makes it whole) and
``manifest-<stamp>.json`` with its signature; in common ``packs`` (copied by what has changed), ``destroyed`` and
``tombstones`` (what was erased since; nothing personal) and ``checkpoint`` (the newest signed state of the ledger). The
keys lie apart: see `troth.vault.escrow`.
"""

from troth.main.backup.following import Following, tombstones_in
from troth.main.backup.making import Made, Wanted, make
from troth.main.backup.manifest import Manifest, stamps
from troth.main.backup.restoring import Restored, Source, restore

__all__ = [
    "Following",
    "Made",
    "Manifest",
    "Restored",
    "Source",
    "Wanted",
    "make",
    "restore",
    "stamps",
    "tombstones_in",
]
