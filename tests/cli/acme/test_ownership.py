"""Keys, settings and the deploy hooks among them are taken from no place that another user can change."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from certwright.cli.acme.certificate_store import CertificateStore
from certwright.cli.acme.common import Common
from certwright.cli.acme.files import make_folder, read_own_file
from certwright.cli.acme.lock import Lock
from certwright.cli.acme.output import Output
from certwright.cli.acme.session import Session
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = 65534


def open_session(folder: Path) -> Session:
    return Session(Common(folder), Output(as_json=False, quiet=True))


def give_away(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: only root can make files that belong to another user")
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "parent" / "state"
    make_folder(made / "certificates" / "a.example" / "versions" / "1")
    return made


def test_a_folder_of_another_user_is_refused_by_every_command(folder: Path) -> None:
    give_away(folder)
    with pytest.raises(CommandError, match=r"belongs to another user.*deploy hooks"):
        open_session(folder)


def test_a_folder_that_another_user_could_replace_is_refused(folder: Path) -> None:
    give_away(folder.parent)
    with pytest.raises(CommandError, match=r"parent belongs to another user.*deploy hooks"):
        open_session(folder)
    with pytest.raises(CommandError, match="belongs to another user"):
        open_session(folder.parent / "not-made-yet")


def test_a_link_to_a_folder_of_another_user_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    open_session(tmp_path / "link")
    give_away(folder)
    with pytest.raises(CommandError, match="belongs to another user"):
        open_session(tmp_path / "link")


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_a_folder_that_others_can_write_to_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(CommandError, match=r"Other users can write to .*deploy hooks.*chmod go-w"):
        open_session(folder)


def test_a_folder_in_one_where_all_may_write_is_refused_unless_that_is_sticky(folder: Path) -> None:
    folder.parent.chmod(0o777)
    with pytest.raises(CommandError, match=r"Other users can write to .*parent and replace"):
        open_session(folder)
    folder.parent.chmod(0o1777)
    open_session(folder)


def test_settings_that_another_user_wrote_are_not_read(folder: Path) -> None:
    certificate = CertificateStore(folder / "certificates").at("a.example")
    (certificate.path / "current").symlink_to("versions/1")
    metadata = certificate.path / "versions" / "1" / "certificate.json"
    metadata.write_text('{"settings": {"deploy_hook": "touch /root/here"}}')
    metadata.chmod(0o622)
    with pytest.raises(CommandError, match=r"Other users can write to .*certificate\.json"):
        certificate.metadata()
    metadata.chmod(0o600)
    give_away(metadata)
    with pytest.raises(CommandError, match=r"belongs to another user.*deploy hooks"):
        certificate.metadata()


def test_a_link_or_a_pipe_in_place_of_a_file_is_not_read(folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    with pytest.raises(CommandError, match="Cannot read the account"):
        read_own_file(folder / "link", what="the account")
    with pytest.raises(CommandError, match="is not a file"):
        read_own_file(folder / "pipe", what="the account")


def test_a_link_in_place_of_a_lock_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(CommandError, match="Cannot open the lock"):
        Lock(folder / "lock", "x", seconds=0, on_wait=print)
    assert not (tmp_path / "victim").exists()
