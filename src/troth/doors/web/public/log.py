"""What anybody may have of the ledger: the signed checkpoint, proofs that it only grew, and tiles. Hashes, no leaves.

Per: C2SP tlog-checkpoint and tlog-tiles; RFC 6962 2.1.2.
"""

from __future__ import annotations

from base64 import b64encode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from troth.doors.web.desk import Desk
from troth.doors.web.render import Page
from troth.kit.db import Space
from troth.kit.errors import BadInput, NotFound
from troth.ledger import Checkpoint
from troth.rights import VERIFIER_NAME, script, verifier

_PLATFORM = Space(None)
_DIGITS = 15  # of a size: more than any log has


class LogPages:
    """Handlers for the public part of the ledger.

    Args:
        desk: What every handler works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rooms = desk.rooms

    async def checkpoint(self, http_request: Request) -> Response:
        """The latest signed checkpoint, verbatim (C2SP signed-note)."""
        return PlainTextResponse((await self._latest()).note)

    async def key(self, http_request: Request) -> Response:
        """The public key of the log, as verifiers take it."""
        await self._latest()
        return PlainTextResponse(self._rooms.ledger.verifier_key + "\n")

    async def program(self, http_request: Request) -> Response:
        """The program that checks a person's list, as it goes into each copy: one file, Python's standard library."""
        headers = {"Content-Disposition": f'attachment; filename="{VERIFIER_NAME}"'}
        return PlainTextResponse(verifier(), headers=headers)

    async def script(self, http_request: Request) -> Response:
        """The same program for browsers, of the page that checks a list."""
        return Response(script(), media_type="text/javascript")

    async def check(self, http_request: Request) -> Response:
        """The page on which somebody checks the file of their own list; the file stays in the browser."""
        visitor = await self._desk.visitor(http_request)
        return await self._desk.page(http_request, visitor, "Check a list", Page("public/check.html", None))

    async def consistency(self, http_request: Request) -> Response:
        """Hashes that prove that the log of `to` entries goes on from the one of `from`, one a line in base64.

        Raises:
            BadInput: The sizes are not two whole numbers, the smaller one first.
            NotFound: The log has not come to this size.
        """
        size = (await self._latest()).size
        first = _number(http_request.query_params.get("from", ""))
        second = _number(http_request.query_params.get("to", str(size)))
        if not 1 <= first <= second:
            raise BadInput(hint="Write /ledger/consistency?from=SIZE&to=SIZE, the smaller size first.")
        if second > size:
            raise NotFound
        async with self._rooms.database.transaction(_PLATFORM) as connection:
            hashes = await self._rooms.ledger.prove_consistency(connection, first, second)
        return PlainTextResponse("".join(f"{b64encode(each).decode()}\n" for each in hashes))

    async def tile(self, http_request: Request) -> Response:
        """A tile of hashes (C2SP tlog-tiles): `tile/<level>/<index>`, and `.p/<width>` for one that is not full.

        Raises:
            NotFound: It is not there in this width.
        """
        level, index, width = _place(http_request.path_params["level"], http_request.path_params["index"])
        async with self._rooms.database.transaction(_PLATFORM) as connection:
            content = await self._rooms.ledger.tile(connection, level, index, width)
        if content is None:
            raise NotFound
        return Response(content, media_type="application/octet-stream")

    async def _latest(self) -> Checkpoint:
        async with self._rooms.database.transaction(_PLATFORM) as connection:
            found = await self._rooms.ledger.checkpoint(connection)
        if found is None:
            raise NotFound
        return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > _DIGITS:
        raise BadInput(hint="Write /ledger/consistency?from=SIZE&to=SIZE, the smaller size first.")
    return int(text)


def _place(level: str, index: str) -> tuple[int, int, int]:
    """Level, index and width from a path such as `0/x001/234.p/17`."""
    path, partial, width = index.partition(".p/")
    groups = path.split("/")
    digits = [*(group.removeprefix("x") for group in groups[:-1]), groups[-1]]
    is_formed = all(group.startswith("x") for group in groups[:-1]) and all(len(group) == 3 for group in digits)
    numbers = [level, *digits, *([width] if partial else [])]
    if not is_formed or len(digits) > 5 or not all(each.isascii() and each.isdecimal() for each in numbers):
        raise NotFound
    found = int(width) if partial and len(width) <= 3 else 256
    if len(level) > 2 or not 1 <= found <= 256 or (partial and found == 256):
        raise NotFound
    return int(level), int("".join(digits)), found
