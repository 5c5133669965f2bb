from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING, cast

import pytest

from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.files import LEFT_AFTER
from certwright.cli.acme.install import Installation, install, installation
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from certwright.cli.acme.certificate_store import CertificateFolder

CONTENT = {"fullchain.pem": b"chain", "cert.pem": b"leaf", "privkey.pem": b"key"}


class Folder:
    """The files of a certificate."""

    def has(self, name: str) -> bool:
        return name in CONTENT

    def read(self, name: str) -> bytes:
        return CONTENT[name]


FOLDER = cast("CertificateFolder", Folder())


def test_files_are_there_with_their_modes_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "server"
    target.mkdir()
    (target / "privkey.pem").write_bytes(b"old")
    (target / "theirs").write_bytes(b"theirs")
    assert install(FOLDER, Installation(target, (os.getuid(), os.getgid()), 0o640))[0] == "privkey.pem"
    found = {path.name: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in target.iterdir()}
    assert found["privkey.pem"] == (b"key", 0o640)
    assert found["fullchain.pem"] == (b"chain", 0o644)
    assert set(found) == {*CONTENT, "theirs"}


def test_a_link_with_the_name_of_a_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    target, victim = tmp_path / "server", tmp_path / "victim"
    target.mkdir()
    victim.write_bytes(b"precious")
    victim.chmod(0o600)
    (target / "privkey.pem").symlink_to(victim)
    os.link(victim, target / "cert.pem")
    install(FOLDER, Installation(target, mode=0o640))
    assert victim.read_bytes() == b"precious"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600
    assert not (target / "privkey.pem").is_symlink()


@pytest.mark.parametrize("linked", ["server", "above"])
def test_a_link_on_the_way_is_refused(tmp_path: Path, linked: str) -> None:
    real = tmp_path / "real" / "server"
    real.mkdir(parents=True)
    if linked == "server":
        (tmp_path / "link").symlink_to(real)
        given = tmp_path / "link"
    else:
        (tmp_path / "link").symlink_to(real.parent)
        given = tmp_path / "link" / "server"
    with pytest.raises(CommandError, match="symbolic link on the way"):
        install(FOLDER, Installation(given))
    assert not list(real.iterdir())


def test_a_folder_in_the_place_of_a_file_stops_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "privkey.pem").mkdir()
    with pytest.raises(CommandError, match="Cannot install"):
        install(FOLDER, Installation(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["privkey.pem"]


def test_a_folder_in_the_place_of_the_last_file_leaves_all_others_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "privkey.pem").write_bytes(b"old key")
    (tmp_path / "cert.pem").mkdir()
    with pytest.raises(CommandError, match="is a directory"):
        install(FOLDER, Installation(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cert.pem", "privkey.pem"]
    assert (tmp_path / "privkey.pem").read_bytes() == b"old key"


def test_a_file_that_cannot_be_replaced_gives_back_what_was_replaced_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "privkey.pem").write_bytes(b"old key")
    (tmp_path / "fullchain.pem").symlink_to("elsewhere")
    rename = os.rename

    def refusing(source: str, target: str, **more: int) -> None:
        if target == "cert.pem":
            raise PermissionError(1, "Operation not permitted")
        rename(source, target, **more)

    monkeypatch.setattr(os, "rename", refusing)
    with pytest.raises(CommandError, match="operation not permitted"):
        install(FOLDER, Installation(tmp_path))
    assert (tmp_path / "privkey.pem").read_bytes() == b"old key"
    assert str((tmp_path / "fullchain.pem").readlink()) == "elsewhere"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fullchain.pem", "privkey.pem"]


def test_where_there_are_no_hard_links_it_installs_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "privkey.pem").write_bytes(b"old key")
    monkeypatch.setattr(os, "link", refused)
    install(FOLDER, Installation(tmp_path))
    assert (tmp_path / "privkey.pem").read_bytes() == b"key"


def test_what_a_killed_run_left_is_removed_once_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / ".certwright-new-1-aa"
    for path in (left, tmp_path / "theirs"):
        path.write_bytes(b"a key")
    install(FOLDER, Installation(tmp_path))
    assert left.exists()
    later = time.time() + 2 * LEFT_AFTER
    monkeypatch.setattr(time, "time", lambda: later)
    install(FOLDER, Installation(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {*CONTENT, "theirs"}


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no such file"):
        install(FOLDER, Installation(tmp_path / "nowhere"))


def test_owner_and_mode_are_read() -> None:
    where = installation("/etc/nginx", "0:0", "0440")
    assert (where.owner, where.mode) == ((0, 0), 0o440)
    assert installation("/etc/nginx", "root", None).owner == (0, 0)
    assert installation("/etc/nginx", None, None).mode == 0o600


@pytest.mark.parametrize(
    ("owner", "mode"),
    [
        ("nobody-of-that-name", None),
        ("root:no-such-group", None),
        ("4294967295", None),
        ("0:99999999999999999999", None),
        (None, "rw"),
        (None, "0644"),
    ],
)
def test_an_owner_or_mode_that_there_is_not_is_refused(owner: str | None, mode: str | None) -> None:
    with pytest.raises(UsageError):
        installation("/etc/nginx", owner, mode)


def test_a_relative_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="not an absolute path"):
        installation("certs/web", None, None)
