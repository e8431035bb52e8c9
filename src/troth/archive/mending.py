"""A damaged instance that is sent again with the very bytes that were stored gets them in place of its own."""

from __future__ import annotations

from uuid import UUID

from troth.archive import telling, upkeep_store
from troth.archive.arriving import Item
from troth.archive.coercing import coerced, standing_change
from troth.archive.intake import Batch
from troth.archive.row_values import instance_row
from troth.dicom import CannotCorrect
from troth.kit.db import Database
from troth.ledger import Ledger
from troth.vault import KeyDestroyed, Keyring, Packs


async def mend(db: Database, keyring: Keyring, packs: Packs, ledger: Ledger, batch: Batch, item: Item) -> None:
    """Let the row of a damaged instance name the bytes that came again; they are durable and have the same digests.

    Args:
        db: The database.
        keyring: Seals the new keys of its objects.
        packs: Gives back the room of the damaged bytes.
        ledger: Is told in the same transaction.
        batch: The batch it came with.
        item: It, with the row it mends.
    """
    study, held = batch.study_of(item), item.mends
    if study is None or held is None:
        return
    instance_id: UUID = held["id"]
    try:
        if study.standing_sealed is not None:  # it was corrected, and is to say so again
            change = standing_change(keyring, study.key, study.id, study.standing_sealed)
            item.coerced = await coerced(packs, item.received, change)
            await packs.sync()
        sent = item.received if item.coerced is not None else None
        row = instance_row(keyring, study.key, item.kept, instance_id, sent)
    except (KeyDestroyed, CannotCorrect):
        return  # erased a moment ago, or not to be corrected any more
    async with db.transaction(item.permit) as connection:
        tenant = item.permit.tenant
        assert tenant is not None
        if not await upkeep_store.replace_instance(connection, tenant, instance_id, held["head_locator"], row):
            return
        await upkeep_store.mark_whole(connection, tenant, [instance_id])
        await ledger.append(
            connection,
            telling.of_instances(
                item.permit, "archive:instance:mended", study, item.header.study_uid, [item.header.instance_uid]
            ),
        )
    item.is_named = True
    await packs.free([held[name] for name in ("head_locator", "bulk_locator") if held[name] is not None])
