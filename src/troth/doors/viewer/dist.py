"""The files of the viewer's published build, as `tools/vendor.py` left them: text and wasm compressed only."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import mimetypes
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "dist"
HASHED = re.compile(r"(^|\.)[0-9a-f]{16}\.(js|wasm|woff2)$")  # the name changes with the content
INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
WORKER = re.compile(r"\d+\.bundle\.[0-9a-f]{16}\.js")
ENTRY = b"(() => {"  # a script that starts by itself, where a chunk waits to be called
CODEC = b"openjpegwasm_decode"
A_YEAR = "public, max-age=31536000, immutable"
AN_HOUR = "public, max-age=3600"
KINDS = {".js": "text/javascript; charset=utf-8", ".wasm": "application/wasm", ".woff2": "font/woff2"}


class Dist:
    """A read-only folder of files, listed once at start: a path outside the list does not exist.

    Args:
        folder: Where the build lies. An absent folder gives an empty list; the door then says what to do.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, Path] = {}
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and path.name != "stamp.json":
                self._files[path.relative_to(folder).as_posix().removesuffix(".gz")] = path

    @property
    def is_here(self) -> bool:
        """Whether the build was fetched."""
        return "index.html" in self._files

    def text(self, name: str) -> str:
        """A small text file of the build, decompressed."""
        path = self._files[name]
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8")

    def inline_hashes(self) -> list[str]:
        """CSP sources for the inline scripts of the start page.

        Per: CSP Level 3, 2.3.1 (hash-source).
        """
        scripts = INLINE.findall(self.text("index.html"))
        return [f"'sha256-{base64.b64encode(hashlib.sha256(each.encode()).digest()).decode()}'" for each in scripts]

    def decoders(self) -> frozenset[str]:
        """The scripts that the viewer starts as workers to decode compressed frames."""
        return frozenset(name for name, path in self._files.items() if WORKER.fullmatch(name) and _is_decoder(path))

    async def answer(self, http_request: Request, name: str) -> Response | None:
        """Serve one file.

        Args:
            http_request: For what the client can decompress.
            name: Path inside the build, without a leading slash.

        Returns:
            The answer, or None when the build has no such file.
        """
        path = self._files.get(name)
        if path is None:
            return None
        content = await asyncio.to_thread(path.read_bytes)
        suffix = Path(name).suffix
        kind = KINDS.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {"Cache-Control": A_YEAR if HASHED.search(name) else AN_HOUR, "Vary": "Accept-Encoding"}
        if path.suffix == ".gz":
            if "gzip" in http_request.headers.get("accept-encoding", ""):
                headers["Content-Encoding"] = "gzip"
            else:
                content = await asyncio.to_thread(gzip.decompress, content)
        return Response(content, media_type=kind, headers=headers)


def _is_decoder(path: Path) -> bool:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return file.read(len(ENTRY)) == ENTRY and CODEC in file.read()
