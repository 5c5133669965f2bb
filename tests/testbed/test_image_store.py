from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from image import engines
from testbed.errors import BedError, BinaryUnavailable, CommandFailed
from testbed.image_store import ImageStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.progress import Task


class Seen:
    """A task that remembers what it was shown."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, str]] = []

    def total(self, steps: int) -> None:
        raise NotImplementedError

    def step(self, steps: int, activity: str) -> None:
        self.steps.append((steps, activity))


class Silent:
    """Shows nothing."""

    def say(self, message: str) -> None:
        """Drop it."""

    @contextmanager
    def task(self, title: str) -> Iterator[Task]:
        del title
        yield Seen()


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose PATH has only what a test puts there, and where we are root."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("testbed.image_store.os.geteuid", lambda: 0)
    return tmp_path


def program(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f'#!/bin/sh\necho "$*" >> {folder}/calls\n{body}\n')
    path.chmod(0o755)
    return path


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


def test_the_driver_that_works_everywhere_is_taken_where_overlay_does_not(machine: Path) -> None:
    buildah = program(machine, "buildah", 'case "$*" in *overlay*) exit 125;; esac')
    assert ImageStore.open(buildah).driver == "vfs"
    assert len(calls(machine)) == 2


def test_overlay_is_preferred(machine: Path) -> None:
    assert ImageStore.open(program(machine, "buildah", "")).driver == "overlay"


def test_no_driver_at_all_is_an_error_with_buildahs_words(machine: Path) -> None:
    with pytest.raises(BinaryUnavailable, match="kernel too old"):
        ImageStore.open(program(machine, "buildah", "echo kernel too old >&2; exit 125"))


def test_without_root_it_is_said_before_anything_is_done(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testbed.image_store.os.geteuid", lambda: 1000)
    with pytest.raises(BedError, match="requires root"):
        ImageStore.open(program(machine, "buildah", ""))
    assert not (machine / "calls").exists()


def test_steps_are_shown_and_arguments_passed(machine: Path) -> None:
    store = ImageStore.open(
        program(machine, "buildah", "echo 'STEP 1/2: FROM x'; echo 'STEP 2/2: COPY y /'; echo done")
    )
    seen = Seen()
    store.build(machine, "localhost/x:1", seen, timestamp=7, arguments={"BASE": "b"})
    assert seen.steps == [(1, "STEP 1/2: FROM x"), (2, "STEP 2/2: COPY y /"), (2, "done")]
    assert "bud --layers --isolation=chroot --timestamp=7 --tag=localhost/x:1 --build-arg=BASE=b" in calls(machine)[-1]


def test_a_failed_build_says_what_buildah_said(machine: Path) -> None:
    store = ImageStore.open(program(machine, "buildah", 'case "$*" in *bud*) echo no such module; exit 1;; esac'))
    with pytest.raises(BinaryUnavailable, match=r"localhost/x:1 could not be built[\s\S]*no such module"):
        store.build(machine, "localhost/x:1", Seen())


def test_an_archive_appears_only_when_it_is_whole(machine: Path) -> None:
    store = ImageStore.open(program(machine, "buildah", 'case "$*" in *push*) exit 1;; esac'))
    with pytest.raises(BinaryUnavailable, match="could not be written"):
        store.push("localhost/x:1", machine / "out" / "x.tar", Seen())
    assert not (machine / "out" / "x.tar").exists()


def test_a_docker_without_its_daemon_is_passed_over(machine: Path) -> None:
    program(machine, "docker", "exit 1")
    assert engines.find_engine() is None
    program(machine, "podman", "")
    assert engines.find_engine() == "podman"


def test_a_base_that_is_there_is_not_pulled(machine: Path) -> None:
    program(machine, "docker", "")
    assert engines.has_base("docker", "mine:1")
    assert calls(machine) == ["image inspect mine:1"]


def test_a_base_out_of_reach_is_told(machine: Path) -> None:
    program(machine, "docker", "exit 1")
    assert not engines.has_base("docker", "mine:1")
    assert calls(machine) == ["image inspect mine:1", "pull --quiet mine:1"]


def test_an_engine_builds_and_saves(machine: Path) -> None:
    program(machine, "docker", "")
    engines.build_with_engine("docker", "localhost/c:1", machine / "c.tar", {"BASE": "b", "VERSION": "1"})
    build, save = calls(machine)
    assert build.startswith("build --tag localhost/c:1 --build-arg BASE=b --build-arg VERSION=1 ")
    assert save == f"save --output {machine}/c.tar localhost/c:1"


def test_an_engine_that_fails_is_not_asked_to_save(machine: Path) -> None:
    program(machine, "docker", "exit 3")
    with pytest.raises(CommandFailed, match="docker build ended with status 3"):
        engines.build_with_engine("docker", "localhost/c:1", machine / "c.tar", {})
    assert len(calls(machine)) == 1


def test_a_base_that_was_asked_for_is_never_replaced(machine: Path) -> None:
    program(machine, "buildah", 'case "$*" in *info*) ;; *) exit 1;; esac')
    with pytest.raises(BinaryUnavailable, match="base image my/base:1 cannot be pulled"):
        engines.build_with_buildah(
            "localhost/c:1", machine / "c.tar", {}, Silent(), timestamp=0, base="my/base:1", public_base="public:1"
        )
