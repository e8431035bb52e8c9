"""Folders and files that root gives away, where the user who gets them may have put something in their place."""

from __future__ import annotations

import os
import pwd
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.common.servers import open_folder
from troth.kit import owner
from troth.kit.owner import OwnerUnusable
from troth.main.node import listening
from troth.main.settings import Settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give away")

UID = 65520
ACCOUNT = pwd.struct_passwd(("x", "x", UID, UID, "", "/", ""))
KNOWN = re.compile(r"packs$")


@pytest.fixture
def place() -> Iterator[Path]:
    made = open_folder("troth-owner-")
    yield made
    shutil.rmtree(made)


def whose(*paths: Path) -> list[int]:
    return [path.lstat().st_uid for path in paths]


def test_a_folder_that_the_parts_cannot_reach_is_refused_every_time(place: Path) -> None:
    closed = place / "closed"
    wanted = closed / "between" / "backup"
    wanted.mkdir(parents=True)
    (wanted / "packs").mkdir()
    closed.chmod(0o700)
    for _ in range(2):
        with owner.making_for(ACCOUNT), pytest.raises(OwnerUnusable, match=re.escape(f"{closed} cannot be passed")):
            owner.own(wanted, KNOWN)
        assert whose(wanted, wanted / "packs") == [0, 0], "and nothing of it was given"
    closed.chmod(0o755)
    for _ in range(2):
        with owner.making_for(ACCOUNT):
            owner.own(wanted, KNOWN)
        assert whose(wanted, wanted / "packs") == [UID, UID]
    closed.chmod(0o700)
    with owner.making_for(ACCOUNT), pytest.raises(OwnerUnusable, match="cannot be passed"):
        owner.own(wanted, KNOWN)


@pytest.mark.parametrize("when", ["before", "looked at"])
def test_a_link_in_the_place_of_a_folder_gives_nothing_away(
    place: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The user owns the folder above, and may put a link there at any moment; so it does at the worst one."""
    of_root, wanted = place / "of-root", place / "theirs" / "backup"
    for path in (of_root, wanted):
        path.mkdir(parents=True)
        (path / "packs").mkdir()
    of_root.chmod(0o711)
    os.chown(wanted.parent, UID, UID)
    really_list = os.listdir

    def swap() -> None:
        wanted.rename(wanted.with_name("kept"))
        wanted.symlink_to(of_root)

    def listed(at: int) -> list[str]:
        swap()
        return really_list(at)

    with owner.making_for(ACCOUNT):
        if when == "before":
            swap()
            with pytest.raises(OwnerUnusable, match="is a link"):
                owner.own(wanted, KNOWN)
        else:
            monkeypatch.setattr(owner.os, "listdir", listed)
            owner.own(wanted, KNOWN)
    given = 0 if when == "before" else UID
    assert whose(wanted.with_name("kept"), wanted.with_name("kept") / "packs") == [given, given]
    assert whose(of_root, of_root / "packs") == [0, 0]
    assert of_root.stat().st_mode & 0o777 == 0o711


def test_all_of_a_folder_is_given_but_not_of_a_link_nor_of_another(place: Path) -> None:
    of_root, folder, link = place / "of-root", place / "packs", place / "link"
    of_root.mkdir()
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "link").symlink_to(of_root)
    link.symlink_to(folder)
    with pytest.raises(OwnerUnusable, match="is a link"):
        owner.hand_over_all(link, ACCOUNT)
    assert whose(folder, folder / "in", of_root) == [0, 0, 0]
    owner.hand_over_all(folder, ACCOUNT)
    assert whose(folder, folder / "in", folder / "in" / "link", of_root) == [UID, UID, UID, 0]
    with pytest.raises(OwnerUnusable, match=f"belongs to user {UID}"):
        owner.hand_over_all(folder, ACCOUNT)


def put(path: Path, kind: str) -> None:
    """Something that is not a plain file of root's."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "another's":
        path.write_text("")
        os.chown(path, UID, UID)
    elif kind == "folder":
        path.mkdir()
    else:
        beside = path.with_name("beside")
        beside.write_text("of root")
        if kind == "link":
            path.symlink_to(beside)
        else:
            path.hardlink_to(beside)


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY | os.O_APPEND | os.O_CREAT, os.O_RDWR | os.O_CREAT])
@pytest.mark.parametrize("kind", ["pipe", "another's", "folder", "link", "second name"])
def test_only_a_plain_file_of_ours_is_opened(place: Path, kind: str, flags: int) -> None:
    path = place / "node.lock"
    os.close(owner.open_own(path, flags | os.O_CREAT))
    os.close(owner.open_own(path, flags))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        owner.open_own(path, flags & ~os.O_CREAT)
    put(path, kind)
    with pytest.raises(OwnerUnusable, match="no plain file, or not only yours"):
        owner.open_own(path, flags)
    if kind == "another's":  # whose the folder is: root looks after the node of a service user
        os.chown(place, UID, UID)
        os.close(owner.open_own(path, flags))


def test_where_no_node_ever_ran_a_command_prints_the_addresses_that_are_set(place: Path) -> None:
    settings = Settings(data_dir=place)
    assert listening(settings) == settings
    (place / "node.lock").write_text("localhost:1234 127.0.0.1:4321")
    assert (listening(settings).http.port, listening(settings).viewer.port) == (1234, 4321)
