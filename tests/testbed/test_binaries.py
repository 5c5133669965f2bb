from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testbed import binaries
from testbed.binaries import cache_key, find, find_or_build
from testbed.catalogue import PROGRAMS, parse_version
from testbed.errors import BedError, BinaryUnavailable, DiskFull
from testbed.golang import Go, check_go, check_room
from testbed.locations import cache
from testbed.progress import PlainReporter

ETCD = PROGRAMS["etcd"]
KUBECTL = PROGRAMS["kubectl"]
PEBBLE = PROGRAMS["pebble"]


@pytest.fixture
def quiet() -> PlainReporter:
    return PlainReporter(lambda _: None)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    return cache()


def toolchain(folder: Path, version: str = "go1.26.8") -> Go:
    return Go("/usr/bin/go", version, folder, folder)


def fake_program(folder: Path, name: str, output: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("Kubernetes v1.37.2", (1, 37, 2)),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", (1, 32, 4)),
        ("etcd Version: 3.7.3\nGit SHA: 0000", (3, 7, 3)),
        ("1.26", (1, 26)),
        ("no version here", None),
    ],
)
def test_versions_are_read_from_what_programs_print(output: str, version: tuple[int, ...] | None) -> None:
    assert parse_version(output) == version


@pytest.mark.parametrize(
    ("name", "printed", "taken"),
    [
        ("kubectl", "Client Version: v1.37.0", True),
        ("kubectl", "Client Version: v1.36.4", True),
        ("kubectl", "Client Version: v1.32.4", False),
        ("kube-apiserver", "Kubernetes v1.37.9", True),
        ("kube-apiserver", "Kubernetes v1.36.0", False),
        ("etcd", "etcd Version: 3.5.21", True),
        ("etcd", "etcd Version: 3.4.30", False),
        ("etcd", "broken", False),
        ("pebble", "Pebble version: v2.10.1", False),
    ],
)
def test_path_is_searched_for_versions_that_fit(*, tmp_path: Path, name: str, printed: str, taken: bool) -> None:
    program = fake_program(tmp_path / "bin", name, printed)
    found = find(PROGRAMS[name], None, {"PATH": f"{program.parent}:{os.environ['PATH']}"})
    assert found == (program if taken else None)


def test_kubebuilder_assets_come_first(tmp_path: Path) -> None:
    assets = fake_program(tmp_path / "assets", "etcd", "etcd Version: 3.4.0")
    on_path = fake_program(tmp_path / "bin", "etcd", "etcd Version: 3.7.3")
    environment = {"KUBEBUILDER_ASSETS": str(assets.parent), "PATH": str(on_path.parent)}
    assert find(ETCD, None, environment) == assets


def test_incomplete_kubebuilder_assets_are_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(BinaryUnavailable, match=r"has no executable etcd[\s\S]*What to do: .*setup-envtest"):
        find(ETCD, None, {"KUBEBUILDER_ASSETS": str(tmp_path), "PATH": ""})


def test_the_cache_is_found_with_and_without_go(tmp_path: Path, own_cache: Path) -> None:
    built = own_cache / "bin" / "pebble" / cache_key(PEBBLE, "go1.26.8") / "pebble"
    built.parent.mkdir(parents=True)
    built.touch()
    assert find(PEBBLE, toolchain(tmp_path)) == built
    assert find(PEBBLE, None) == built
    assert find(PEBBLE, toolchain(tmp_path, "go1.27.0")) is None


def test_the_cache_key_changes_with_everything_a_program_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "GO_MODULES", tmp_path)
    folder = tmp_path / "pebble"
    folder.mkdir()
    for name in ("go.mod", "go.sum", "main.go"):
        (folder / name).write_text("")
    flags = replace(PEBBLE, module=replace(PEBBLE.module, ldflags="-s"))
    keys = [cache_key(PEBBLE, "go1.26.8"), cache_key(PEBBLE, "go1.26.9"), cache_key(flags, "go1.26.8")]
    keys.append(cache_key(PROGRAMS["pebble-challtestsrv"], "go1.26.8"))
    for name in ("go.mod", "go.sum", "main.go", "more.go"):
        (folder / name).write_text("changed")
        keys.append(cache_key(PEBBLE, "go1.26.8"))
    assert len(set(keys)) == len(keys)


def test_missing_go_is_named_with_the_version_to_install() -> None:
    with pytest.raises(
        BinaryUnavailable, match=r"kubectl must be built.*Go is not on PATH[\s\S]*What to do: install Go 1\.26"
    ):
        check_go(None, KUBECTL)


def test_an_old_go_is_named_with_the_version_to_install(tmp_path: Path) -> None:
    with pytest.raises(BinaryUnavailable, match=r"1\.26\.0 or later, but /usr/bin/go is go1\.21\.3[\s\S]*What to do"):
        check_go(toolchain(tmp_path, "go1.21.3"), KUBECTL)


def test_a_full_disk_is_seen_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 30)
    monkeypatch.setattr("testbed.golang.shutil.disk_usage", lambda _: usage)
    with pytest.raises(
        DiskFull, match=r"needs about 8\.0 GiB in .*, but only 1\.0 GiB are free[\s\S]*What to do: free up space"
    ):
        check_room(KUBECTL, toolchain(tmp_path), tmp_path / "not" / "there")


def test_less_room_is_needed_where_the_sources_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / KUBECTL.module.sources).mkdir(parents=True)
    usage = shutil.disk_usage(tmp_path)._replace(free=3 << 30)
    monkeypatch.setattr("testbed.golang.shutil.disk_usage", lambda _: usage)
    check_room(KUBECTL, toolchain(tmp_path), tmp_path)


def failing_go(folder: Path, output: str) -> None:
    script = f"""#!/bin/sh
case $1 in
env) echo '{{"GOVERSION": "go1.26.8", "GOCACHE": "{folder}", "GOMODCACHE": "{folder}"}}';;
list) echo one; echo two;;
*) echo some/package; echo '{output}'; exit 1;;
esac
"""
    (folder / "go").write_text(script)
    (folder / "go").chmod(0o755)


@pytest.mark.parametrize(
    ("output", "failure"),
    [
        ("undefined: x", (BinaryUnavailable, r"Building pebble failed\n[\s\S]*undefined: x[\s\S]*build-pebble\.log")),
        ("write: no space left on device", (DiskFull, r"The disk became full[\s\S]*What to do: free up space")),
    ],
)
def test_a_failed_build_shows_the_end_of_its_output(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quiet: PlainReporter,
    output: str,
    failure: tuple[type[BedError], str],
) -> None:
    failing_go(tmp_path, output)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(failure[0], match=failure[1]):
        find_or_build(["pebble"], quiet)
    assert [path for path in cache().rglob("pebble") if path.is_file()] == []


def test_a_build_lands_in_the_cache_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quiet: PlainReporter
) -> None:
    monkeypatch.setattr(binaries, "find_go", lambda: toolchain(tmp_path))
    seen: list[bool] = []

    def build(_: Go, __: Any, output: Path, **___: Any) -> None:
        output.write_text("program")
        seen.append((output.parent / "pebble").exists())

    monkeypatch.setattr(binaries, "build", build)
    monkeypatch.setattr(binaries, "check_room", lambda *_: None)
    path = find_or_build(["pebble"], quiet)["pebble"]
    assert path.read_text() == "program"
    assert seen == [False]
    find_or_build(["pebble"], quiet)
    assert len(seen) == 1


def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, quiet: PlainReporter, own_cache: Path
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(BedError, match=r"is not writable: Permission denied[\s\S]*XDG_CACHE_HOME") as caught:
        find_or_build(["pebble"], quiet)
    assert str(own_cache) in str(caught.value)
