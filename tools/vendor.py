"""Fetch the browser parts that Troth serves itself: styles, scripts, typefaces, the OHIF viewer, and axe for the tests.

    python tools/vendor.py            put everything in its place (quick when it is already there)
    python tools/vendor.py --update   fetch the versions named below anew and write their digests to the lock file
    python tools/vendor.py --check    only say whether everything is in its place; ends with 0 or 1

Packages come through the ordinary npm client (`npm pack`), which downloads a tarball and runs none of its scripts.
A tarball whose SHA-512 is not the one in `tools/vendor.lock.json` is refused. Nothing is built.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "tools" / "vendor.lock.json"
STATIC = ROOT / "src/troth/doors/web/static/vendor"
DIST = ROOT / "src/troth/doors/viewer/dist"
AXE = ROOT / "build/axe"
RECIPE = 3  # raise it when this file unpacks differently, so that older folders are made anew

SQUEEZED = {".js", ".css", ".html", ".json", ".svg", ".wasm", ".txt"}  # what pays for being compressed once and for all
OHIF_OUT = (
    "ort/",  # 136 MB of a neural network runtime: nothing here runs models in the browser
    "dicom-microscopy-viewer/",
    "customizations/",
    "app-config.js",  # points at a public demo server; ours is made by doors/viewer
    "init-service-worker.js",  # names a third-party host; ours is made by doors/viewer
    "sw.js",
    "google.js",
    "oidc-client.min.js",
    "silent-refresh.html",
    "es6-shim.min.js",
    "polyfill.min.js",
    "serve.json",
    "_headers",
    "_redirects",
)


@dataclass(frozen=True)
class Package:
    """One npm package and the files we take from it.

    Attributes:
        files: Path inside the package to name in our folder. Ignored for OHIF, which is taken by folder.
    """

    name: str
    version: str
    folder: Path
    files: tuple[tuple[str, str], ...] = ()

    @property
    def spec(self) -> str:
        """The name npm knows it by."""
        return f"{self.name}@{self.version}"


PACKAGES = (
    Package("@tabler/core", "1.6.1", STATIC, (("dist/css/tabler.min.css", "tabler.min.css"),)),
    Package("htmx.org", "4.0.1", STATIC, (("dist/htmx.min.js", "htmx.min.js"),)),
    Package(
        "uplot",
        "1.6.32",
        STATIC,
        (("dist/uPlot.iife.min.js", "uplot.min.js"), ("dist/uPlot.min.css", "uplot.min.css")),
    ),
    Package(
        "@fontsource-variable/source-serif-4",
        "5.3.1",
        STATIC,
        (
            ("files/source-serif-4-latin-wght-normal.woff2", "source-serif.woff2"),
            ("files/source-serif-4-latin-ext-wght-normal.woff2", "source-serif-ext.woff2"),
        ),
    ),
    Package(
        "@fontsource-variable/ibm-plex-sans",
        "5.3.0",
        STATIC,
        (
            ("files/ibm-plex-sans-latin-wght-normal.woff2", "plex-sans.woff2"),
            ("files/ibm-plex-sans-latin-ext-wght-normal.woff2", "plex-sans-ext.woff2"),
        ),
    ),
    Package(
        "@fontsource/ibm-plex-mono",
        "5.3.0",
        STATIC,
        (
            ("files/ibm-plex-mono-latin-400-normal.woff2", "plex-mono.woff2"),
            ("files/ibm-plex-mono-latin-ext-400-normal.woff2", "plex-mono-ext.woff2"),
        ),
    ),
    Package("axe-core", "4.14.1", AXE, (("axe.min.js", "axe.min.js"),)),
    Package("@ohif/app", "3.13.2", DIST),
)


class VendorFault(Exception):
    """Something that stops the folders from being made; the text says what to do."""


def fetch(package: Package, into: Path) -> Path:
    """Download one package with npm and return its tarball."""
    npm = shutil.which("npm")
    if npm is None:
        raise VendorFault("npm is missing: install Node.js 20 or newer (Debian: apt-get install nodejs npm)")
    box = into / package.name.strip("@").replace("/", "-")
    box.mkdir()
    command = [npm, "pack", package.spec, "--pack-destination", str(box), "--prefer-offline", "--loglevel=error"]
    done = subprocess.run(command, cwd=box, capture_output=True, text=True, check=False)
    found = list(box.glob("*.tgz"))
    if done.returncode != 0 or len(found) != 1:
        raise VendorFault(f"npm could not fetch {package.spec}:\n{done.stderr.strip()}")
    return found[0]


def sha512(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha512").hexdigest()


def members(tarball: Path) -> dict[str, bytes]:
    """All plain files of a package, by their path inside it."""
    files: dict[str, bytes] = {}
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                files[member.name.partition("/")[2]] = stream.read()
    return files


def take(package: Package, files: dict[str, bytes], folder: Path) -> None:
    """Write what we use of a package, with its licence, into a folder."""
    for source, name in package.files:
        if source not in files:
            raise VendorFault(f"{package.spec} has no {source}")
        (folder / name).write_bytes(files[source])
    licences = folder / "licences"
    licences.mkdir(exist_ok=True)
    label = package.name.strip("@").replace("/", "-")
    texts = {path: text for path, text in files.items() if "/" not in path and path.upper().startswith("LICEN")}
    for path, text in texts.items():
        (licences / f"{label}.{path}{'' if '.' in path else '.txt'}").write_bytes(text)
    if not texts:  # Tabler's package names its licence only in package.json
        about = json.loads(files["package.json"])
        note = f"{package.spec}\nLicence: {about.get('license')}\n{about.get('homepage', '')}\n"
        (licences / f"{label}.LICENSE.txt").write_text(note, encoding="utf-8")


def take_viewer(files: dict[str, bytes], folder: Path) -> None:
    """Write the viewer's published build without what we do not serve; text and wasm are kept compressed only."""

    def write(entry: tuple[str, bytes]) -> None:
        path, content = entry
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix in SQUEEZED:
            target = target.with_name(target.name + ".gz")
            content = gzip.compress(content, 9 if len(content) < 1_000_000 else 6, mtime=0)
        target.write_bytes(content)

    wanted = [
        (path.removeprefix("dist/"), content)
        for path, content in files.items()
        if path.startswith("dist/")
        and not path.removeprefix("dist/").startswith(OHIF_OUT)
        and not path.endswith(".map")
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, wanted))


def stamp_of(folder: Path, lock: dict[str, str]) -> str:
    """What a folder that is in its place says about itself."""
    mine = {package.spec: lock.get(package.spec, "") for package in PACKAGES if package.folder == folder}
    return json.dumps({"recipe": RECIPE, "packages": mine}, indent=1, sort_keys=True) + "\n"


def is_in_place(folder: Path, lock: dict[str, str]) -> bool:
    """Whether a folder holds what the lock file names."""
    stamp = folder / "stamp.json"
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == stamp_of(folder, lock)


def fill(folder: Path, tarballs: dict[str, Path], lock: dict[str, str], say: Callable[[str], None]) -> None:
    """Make one folder anew beside the old one, then put it in its place."""
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for package in PACKAGES:
        if package.folder == folder:
            files = members(tarballs[package.spec])
            take(package, files, fresh)
            if folder == DIST:
                take_viewer(files, fresh)
            say(f"  {package.spec} unpacked")
    (fresh / "stamp.json").write_text(stamp_of(folder, lock), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def read_lock() -> dict[str, str]:
    """Package to SHA-512 of its tarball."""
    return dict(json.loads(LOCK.read_text(encoding="utf-8"))) if LOCK.is_file() else {}


def vendor(*, update: bool, check: bool, say: Callable[[str], None] = print) -> int:
    """Put everything in its place.

    Returns:
        Exit code: 0 when everything is in its place.
    """
    lock = read_lock()
    folders = list(dict.fromkeys(package.folder for package in PACKAGES))
    missing = folders if update else [folder for folder in folders if not is_in_place(folder, lock)]
    if check or not missing:
        for folder in folders:
            say(f"{folder.relative_to(ROOT)}: {'missing or old' if folder in missing else 'in its place'}")
        return 1 if missing else 0
    with tempfile.TemporaryDirectory(prefix="troth-vendor-") as scratch:
        wanted = [package for package in PACKAGES if package.folder in missing]
        say(f"fetching {len(wanted)} packages with npm")
        with ThreadPoolExecutor(4) as pool:
            paths = list(pool.map(lambda package: fetch(package, Path(scratch)), wanted))
        tarballs = {package.spec: path for package, path in zip(wanted, paths, strict=True)}
        digests = {spec: sha512(path) for spec, path in tarballs.items()}
        if update:
            lock = digests
            LOCK.write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            say(f"wrote {LOCK.relative_to(ROOT)}")
        for spec, digest in digests.items():
            if lock.get(spec) != digest:
                raise VendorFault(f"{spec} is not the package in tools/vendor.lock.json: refused (see --update)")
        for folder in missing:
            fill(folder, tarballs, lock, say)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            say(f"{folder.relative_to(ROOT)}: {size / 1e6:.1f} MB in its place")
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="fetch anew and write the lock file")
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 when something is missing")
    chosen = parser.parse_args()
    try:
        return vendor(update=chosen.update, check=chosen.check)
    except VendorFault as fault:
        print(f"vendor: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
