from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testbed import debian
from testbed.debian import PLAIN_TOOLS, find_or_install
from testbed.errors import BinaryUnavailable
from testbed.progress import PlainReporter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without named, whose apt-get writes down what it was asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(debian, "MORE_FOLDERS", str(tmp_path / "sbin"))
    monkeypatch.setattr(debian, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(debian, "_keep_services_off", lambda _: None)
    return folder


def apt(machine: Path, body: str) -> None:
    script = machine / "apt-get"
    script.write_text(f'#!/bin/sh\necho "$*" >> {machine}/calls\n{body}\n')
    script.chmod(0o755)


def test_without_root_the_command_to_ask_for_is_named(
    machine: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    apt(machine, "")
    monkeypatch.setattr("testbed.debian.os.geteuid", lambda: 1000)
    with pytest.raises(BinaryUnavailable, match=r"sudo sh -c 'apt-get update && apt-get install .*bind9'"):
        find_or_install(PLAIN_TOOLS, PlainReporter(said.append))
    assert not (machine / "calls").exists()


def test_root_installs_it_aloud_and_starts_no_daemon(
    machine: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    policy = debian.POLICY
    apt(
        machine,
        f"case $2 in install) [ -x {policy} ] && : > {machine}/named && chmod +x {machine}/named;; esac".replace(
            "chmod", "/bin/chmod"
        ),
    )
    monkeypatch.setattr("testbed.debian.os.geteuid", lambda: 0)
    assert find_or_install(PLAIN_TOOLS, PlainReporter(said.append)) == {"named": machine / "named"}
    assert (machine / "calls").read_text().splitlines() == [
        "-q update",
        "-q install -y --no-install-recommends bind9",
    ]
    assert any("Installing the package bind9" in line for line in said)
    assert not policy.exists()


def test_a_failing_apt_is_shown(machine: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    apt(machine, "echo 'E: Unable to locate package'; exit 100")
    monkeypatch.setattr("testbed.debian.os.geteuid", lambda: 0)
    with pytest.raises(BinaryUnavailable, match=r"apt-get update failed\nE: Unable to locate package"):
        find_or_install(PLAIN_TOOLS, PlainReporter(said.append))
    assert not debian.POLICY.exists()


def test_a_system_without_apt_is_told_what_to_install(machine: Path, said: list[str]) -> None:
    assert not (machine / "apt-get").exists()
    with pytest.raises(BinaryUnavailable, match=r"install BIND 9\.16 or later"):
        find_or_install(PLAIN_TOOLS, PlainReporter(said.append))


def test_only_what_is_missing_is_installed_in_one_step(
    machine: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    for program in ("runc", "ip"):
        (machine / program).touch(mode=0o755)
    apt(machine, f"case $2 in install) for p in nft conntrack; do /bin/cp {machine}/ip {machine}/$p; done;; esac")
    monkeypatch.setattr("testbed.debian.os.geteuid", lambda: 0)
    found = find_or_install(("runc", "nft", "conntrack", "ip"), PlainReporter(said.append))
    assert found == {program: machine / program for program in ("runc", "nft", "conntrack", "ip")}
    assert (machine / "calls").read_text().splitlines() == [
        "-q update",
        "-q install -y --no-install-recommends nftables conntrack",
    ]
