"""Studies and series that were written a moment ago, so that the next instances of them need no look-up.

Only a guess, and holds no keys, only their references: the function that writes a batch refuses it when a study was
erased or an instance is there already, and then everything is looked up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from uuid import UUID

from troth.archive.model import Row

_MOST = 4_000

Held = Mapping[str, Sequence[Row]]


class Recent:
    """What this process wrote lately."""

    def __init__(self) -> None:
        self._studies: OrderedDict[tuple[UUID, str], Row] = OrderedDict()
        self._series: OrderedDict[tuple[UUID, str], Row] = OrderedDict()

    def recall(self, tenant: UUID, study_uids: Sequence[str], series_uids: Sequence[str]) -> Held | None:
        """What is probably held of a batch, or None unless all of its studies and series are remembered.

        Args:
            tenant: The organisation.
            study_uids: Studies of the batch.
            series_uids: Series of the batch.
        """
        studies = [self._studies.get((tenant, uid)) for uid in study_uids]
        series = [self._series.get((tenant, uid)) for uid in series_uids]
        if None in studies or None in series:
            return None
        return {
            "studies": [row for row in studies if row is not None],
            "series": [row for row in series if row is not None],
            "instances": (),
            "tombstones": (),
        }

    def remember(self, tenant: UUID, studies: Sequence[Row], series: Sequence[Row]) -> None:
        """Remember what was written."""
        for held, key, rows in ((self._studies, "study_uid", studies), (self._series, "series_uid", series)):
            for row in rows:
                held[tenant, row[key]] = row
                held.move_to_end((tenant, row[key]))
            while len(held) > _MOST:
                held.popitem(last=False)

    def forget(self, tenant: UUID, study_uids: Sequence[str], series_uids: Sequence[str]) -> None:
        """Forget what turned out otherwise."""
        for uid in study_uids:
            self._studies.pop((tenant, uid), None)
        for uid in series_uids:
            self._series.pop((tenant, uid), None)
