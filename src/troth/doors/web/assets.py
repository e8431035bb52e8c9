"""Our own styles and scripts under an address that changes with their content, so that browsers keep them for good."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

FOLDER: Final = Path(__file__).parent / "static"
A_YEAR: Final = "public, max-age=31536000, immutable"
A_MINUTE: Final = "public, max-age=60"
KINDS: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".woff2": "font/woff2"}
SQUEEZED: Final = frozenset({".js", ".css", ".svg", ".html", ".py"})


@cache
def edition() -> str:
    """Digest over every file of the folder, 12 hex digits: one for all, so that style sheets find their typefaces."""
    digest = hashlib.sha256()
    for path in sorted(each for each in FOLDER.rglob("*") if each.is_file()):
        digest.update(path.relative_to(FOLDER).as_posix().encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def address(name: str) -> str:
    """Where a file of the folder is found, such as `troth.css`."""
    return f"/static/{edition()}/{name}"


@cache
def _content(path: Path, is_squeezed: bool) -> bytes:
    content = path.read_bytes()
    return gzip.compress(content, 9, mtime=0) if is_squeezed else content


@cache
def _names() -> dict[str, Path]:
    """What there is, listed once: a path outside of the list does not exist."""
    return {path.relative_to(FOLDER).as_posix(): path for path in FOLDER.rglob("*") if path.is_file()}


async def serve(http_request: Request) -> Response:
    """One file, compressed where that pays and the browser takes it (RFC 9110 12.5.3).

    An address of an earlier edition gives what is there today and is kept for a minute, so that a page made before an
    update still has its styles.
    """
    path = _names().get(http_request.path_params["name"])
    if path is None:
        return PlainTextResponse("There is nothing here for you\n", 404)
    is_current = http_request.path_params["edition"] == edition()
    headers = {"Cache-Control": A_YEAR if is_current else A_MINUTE}
    is_squeezed = path.suffix in SQUEEZED and "gzip" in http_request.headers.get("accept-encoding", "")
    if path.suffix in SQUEEZED:
        headers["Vary"] = "Accept-Encoding"
    if is_squeezed:
        headers["Content-Encoding"] = "gzip"
    kind = KINDS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Response(_content(path, is_squeezed), media_type=kind, headers=headers)
