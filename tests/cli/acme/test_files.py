from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from certwright.cli.acme.files import link, make_folder, read_file, write_file
from certwright.cli.exits import CommandError


def test_a_file_has_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_file(tmp_path / "public", b"a", mode=0o644)
        os.umask(0)
        write_file(tmp_path / "private", b"b", mode=0o600)
        make_folder(tmp_path / "some" / "folder")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"public": 0o644, "private": 0o600, "some": 0o700, "folder": 0o700}


def test_a_file_that_cannot_be_moved_into_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "file", b"old", mode=0o600)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CommandError, match="no space left on device"):
        write_file(tmp_path / "file", b"new", mode=0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_link_that_somebody_laid_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("theirs")
    (tmp_path / "file").symlink_to("elsewhere")
    write_file(tmp_path / "file", b"ours", mode=0o600)
    assert (tmp_path / "elsewhere").read_text() == "theirs"
    assert (tmp_path / "file").read_text() == "ours"


def test_a_link_is_turned_in_one_step(tmp_path: Path) -> None:
    link(tmp_path / "current", "a")
    link(tmp_path / "current", "b")
    assert str((tmp_path / "current").readlink()) == "b"
    assert [path.name for path in tmp_path.iterdir()] == ["current"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"Cannot read the key .*missing: no such file"):
        read_file(tmp_path / "missing", what="the key")
    (tmp_path / "long").write_bytes(b"x" * 11)
    with pytest.raises(CommandError, match="longer than 10 bytes"):
        read_file(tmp_path / "long", what="the key", most=10)


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CommandError, match="Cannot create the folder"):
        make_folder(tmp_path / "file" / "below")
    with pytest.raises(CommandError, match=r"Cannot write .*: no such file"):
        write_file(Path(tmp_path / "missing" / "x"), b"", mode=0o600)


def test_what_a_killed_run_left_of_a_file_is_removed_once_it_is_old(tmp_path: Path) -> None:
    names = (".account.json.0123456789ab", ".account.json.ba9876543210", ".account.json.backup", ".other.0123456789ab")
    for name in names:
        (tmp_path / name).write_bytes(b"a key")
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / names[1])
    write_file(tmp_path / "account.json", b"new", mode=0o600)
    assert {path.name for path in tmp_path.iterdir()} == {"account.json", *names[1:]}
