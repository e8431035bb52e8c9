"""What anybody may have of the ledger: signed sizes and hashes, and no leaf."""

from __future__ import annotations

import html
import re
from base64 import b64decode

from tests.unit.doors.web.conftest import House
from troth.kit.db import Space
from troth.ledger import HeadFile, Sequencer, merkle, open_checkpoint


async def grown(house: House) -> None:
    sequencer = Sequencer(
        house.rooms.dsn_sequencer, house.rooms.keyring, head=HeadFile(house.rooms.settings.data_dir), batch_size=3
    )
    try:
        await sequencer.drain()
    finally:
        await sequencer.close()


async def test_a_checkpoint_leaves_the_house_and_later_ones_follow_it(house: House) -> None:
    await grown(house)
    async with house.client() as anybody:
        key = (await anybody.get("/ledger/key")).text.strip()
        latest = open_checkpoint((await anybody.get("/ledger/checkpoint")).text, key)
        page = (await anybody.get("/notice")).text
        shown = re.search(r'<pre class="mono verbatim">(.*?)</pre>', page, re.DOTALL)
        assert shown is not None
        assert open_checkpoint(html.unescape(shown[1]) + "\n", key) == latest
        assert key in html.unescape(page)

        async with house.rooms.database.transaction(Space(None)) as connection:
            earlier = await house.rooms.ledger.checkpoint(connection, 3)
        assert earlier is not None
        answer = await anybody.get(f"/ledger/consistency?from=3&to={latest.size}")
        hashes = [b64decode(line) for line in answer.text.splitlines()]
        assert merkle.proves_consistency(3, latest.size, hashes, earlier.root, latest.root)
        assert not merkle.proves_consistency(3, latest.size, hashes[::-1], earlier.root, latest.root)


async def test_tiles_hold_hashes_and_nothing_else(house: House) -> None:
    await grown(house)
    async with house.client() as anybody:
        key = (await anybody.get("/ledger/key")).text.strip()
        size = open_checkpoint((await anybody.get("/ledger/checkpoint")).text, key).size
        tile = await anybody.get(f"/ledger/tile/0/000.p/{size}")
        assert (tile.status_code, len(tile.content)) == (200, 32 * size)
        for path in (
            "0/000",
            "0/000.p/256",
            "0/000.p/0",
            "0/0",
            "9/000.p/1",
            "0/x00/000",
            "0/000.p/x",
            "0/%00",
            "a/000",
        ):
            assert (await anybody.get(f"/ledger/tile/{path}")).status_code == 404, path
        for path in ("/ledger/leaf/0", "/ledger/entries", "/ledger"):
            assert (await anybody.get(path)).status_code == 404


async def test_sizes_that_cannot_be_are_refused(house: House) -> None:
    await grown(house)
    async with house.client() as anybody:
        for query, status in (
            ("", 400), ("from=0&to=1", 400), ("from=2&to=1", 400), ("from=x&to=2", 400),
            (f"from=1&to={'9' * 400}", 400), ("from=1&to=999999999", 404), ("from=-1&to=1", 400), ("from=²&to=3", 400),
        ):  # fmt: skip
            assert (await anybody.get(f"/ledger/consistency?{query}")).status_code == status, query
