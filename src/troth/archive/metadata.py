"""What senders hand in as metadata, read apart from everything else."""

from __future__ import annotations

import asyncio

from troth.dicom import Draft, metadata_in


class MetadataReader:
    """Reads metadata of strangers."""

    async def drafts(self, content: bytes, is_xml: bool) -> list[Draft]:
        """Instances of a piece of metadata; see `dicom.metadata_in.read`.

        Args:
            content: One XML document, or a JSON object or array of them in UTF-8.
            is_xml: Which of the two.

        Raises:
            troth.dicom.Malformed: It is not the model.
            OverBudget: There is more in it than is taken.
        """
        return await asyncio.to_thread(metadata_in.read, content, is_xml=is_xml)

    async def references(self, content: bytes, is_xml: bool) -> list[tuple[str, str]]:
        """SOP class and instance UID of each instance that a data set refers to; see `dicom.metadata_in.references`.

        Args:
            content: As of `drafts`.
            is_xml: As of `drafts`.

        Raises:
            troth.dicom.Malformed: It is not the model, or refers to none in the way of the standard.
            OverBudget: There is more in it than is taken.
        """
        return await asyncio.to_thread(metadata_in.references, content, is_xml=is_xml)
