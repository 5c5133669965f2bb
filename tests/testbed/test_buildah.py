from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from testbed.buildah import build_image, cached_archive, digest
from testbed.errors import BinaryUnavailable
from testbed.locks import alone
from testbed.process import wait_until
from testbed.progress import PlainReporter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def fake_buildah(folder: Path, body: str) -> Path:
    path = folder / "buildah"
    path.write_text(f'#!/bin/sh\necho "$*" >> {folder}/calls\n{body}\n')
    path.chmod(0o755)
    return path


def test_an_image_is_built_and_written_in_one_step(tmp_path: Path) -> None:
    archive = tmp_path / "out" / "web.tar"
    push = 'case "$*" in *push*) echo image > ' + f"{archive}.unfinished;; esac"
    build_image(fake_buildah(tmp_path, push), tmp_path, "localhost/web:1", archive, arguments={"BASE": "scratch"})
    assert archive.read_text() == "image\n"
    build, pushed = (tmp_path / "calls").read_text().splitlines()
    assert "bud --isolation=chroot --tag=localhost/web:1 --build-arg=BASE=scratch" in build
    assert pushed.endswith(f"push localhost/web:1 oci-archive:{archive}.unfinished:localhost/web:1")


def test_a_failed_build_shows_what_buildah_said_and_leaves_no_archive(tmp_path: Path) -> None:
    buildah = fake_buildah(tmp_path, "echo 'no such base image' >&2; exit 125")
    with pytest.raises(BinaryUnavailable, match=r"localhost/web:1 could not be built[\s\S]*no such base image"):
        build_image(buildah, tmp_path, "localhost/web:1", tmp_path / "web.tar")
    assert not (tmp_path / "web.tar").exists()


def test_an_archive_is_built_once_for_each_key(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(archive: Path) -> None:
        built.append(archive)
        archive.write_text("image")

    first = cached_archive("web", "1", build)
    assert cached_archive("web", "1", build) == first
    second = cached_archive("web", "2", build)
    assert built == [first, second]
    assert first.is_relative_to(tmp_path)


def test_the_archives_that_were_used_last_are_kept() -> None:
    def build(archive: Path) -> None:
        archive.write_text("image")
        os.utime(archive, (len(built), len(built)))
        built.append(archive)

    built: list[Path] = []
    first, second = (cached_archive("web", key, build) for key in "12")
    assert cached_archive("web", "1", build) == first
    third = cached_archive("web", "3", build)
    assert (first.exists(), second.exists(), third.exists()) == (True, False, True)


def test_who_waits_for_another_one_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    entered = threading.Event()

    def second() -> None:
        with alone(tmp_path / "lock", PlainReporter(told.append)):
            entered.set()

    with ThreadPoolExecutor(1) as pool:
        with alone(tmp_path / "lock", PlainReporter(told.append)):
            waiting = pool.submit(second)
            assert wait_until(lambda: bool(told), timeout=60)
            assert not entered.is_set()
        waiting.result(60)
    assert entered.is_set()
    assert [str(tmp_path / "lock") in line for line in told] == [True]


def test_a_digest_tells_where_one_part_ends_and_the_next_begins(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("ab")
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest([file]) == digest(["ab"]) == digest([b"ab"])
