"""What senders hand in as metadata, read in a confined child, apart from everything else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Hashable

from troth.dicom import Draft, EncodingUnknown, HeadTooLarge, Malformed, TooDeep, metadata_in
from troth.kit.children import ChildEnded, ChildRefused, Children, Task
from troth.kit.errors import OverBudget

_MOST_ANSWER_BYTES = 64 << 20
_SECONDS = 1.8
_BYTES_OF_A_SECOND = 2 << 20
_FAULTS = {one.slug: one for one in (Malformed, EncodingUnknown, TooDeep, HeadTooLarge, OverBudget)}


class MetadataReader:
    """Reads metadata of strangers. A child starts with the first of it."""

    def __init__(self) -> None:
        self._children = Children(metadata_in.load)

    async def drafts(self, who: Hashable, content: bytes, is_xml: bool) -> list[Draft]:
        """Instances of a piece of metadata; see `dicom.metadata_in.read`.

        Args:
            who: Whose share it counts in: the organisation.
            content: One XML document, or a JSON object or array of them in UTF-8.
            is_xml: Which of the two.

        Raises:
            troth.dicom.Malformed: It is not the model.
            OverBudget: There is more in it than is taken.
            troth.kit.errors.Unavailable: There was not time enough.
        """
        return metadata_in.unpacked(await self._run(who, metadata_in.drafts, content, is_xml))

    async def references(self, who: Hashable, content: bytes, is_xml: bool) -> list[tuple[str, str]]:
        """SOP class and instance UID of each instance that a data set refers to; see `dicom.metadata_in.references`.

        Args:
            who: As of `drafts`.
            content: As of `drafts`.
            is_xml: As of `drafts`.

        Raises:
            troth.dicom.Malformed: It is not the model, or refers to none in the way of the standard.
            OverBudget: There is more in it than is taken.
            troth.kit.errors.Unavailable: There was not time enough.
        """
        told = json.loads(await self._run(who, metadata_in.referred, content, is_xml))
        return [(str(sop_class), str(instance)) for sop_class, instance in told]

    def close(self) -> None:
        """End the children."""
        self._children.close()

    async def _run(self, who: Hashable, task: Task, content: bytes, is_xml: bool) -> bytes:
        async def pieces() -> AsyncIterator[bytes]:
            yield content

        seconds = _SECONDS + len(content) // _BYTES_OF_A_SECOND
        try:
            return await self._children.run(
                who, task, (is_xml,), [pieces()], seconds=seconds, most_bytes=_MOST_ANSWER_BYTES
            )
        except ChildRefused as refused:
            raise _FAULTS.get(refused.slug, Malformed)() from None
        except ChildEnded:
            raise OverBudget from None
