from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from testbed.cgroups import LEAF, CgroupTree

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    """Folders as cgroup v1 has them: one hierarchy a controller, and a link that names one twice."""
    for controller in ("cpu,cpuacct", "memory", "pids"):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / "cgroup.procs").touch()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    return tmp_path


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    """Folders as cgroup v2 has them: one hierarchy."""
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "system.slice").mkdir()
    (tmp_path / "system.slice" / "cgroup.procs").touch()
    return tmp_path


def test_a_tree_is_made_and_removed_in_every_hierarchy(version_1: Path) -> None:
    tree = CgroupTree("bed-1", version_1)
    tree.create()
    (version_1 / "memory" / "bed-1" / "kubepods" / "pod1").mkdir(parents=True)
    assert sorted(path.parent.name for path in version_1.glob("*/bed-1") if not path.parent.is_symlink()) == [
        "cpu,cpuacct",
        "memory",
        "pids",
    ]
    assert CgroupTree.find_all("bed-", version_1) == [tree]
    tree.remove()
    assert not tree.exists()
    assert CgroupTree.find_all("bed-", version_1) == []


def test_with_the_second_version_there_is_one_hierarchy(version_2: Path) -> None:
    tree = CgroupTree("bed-1", version_2)
    tree.create()
    assert tree.entrances == [version_2 / "bed-1" / LEAF / "cgroup.procs"]
    assert not (version_2 / "system.slice" / "bed-1").exists()


def test_processes_enter_where_no_cpus_have_to_be_given_first(version_1: Path) -> None:
    tree = CgroupTree("bed-1", version_1)
    assert tree.entrances == [version_1 / "pids" / "bed-1" / LEAF / "cgroup.procs"]


def test_processes_of_all_groups_are_ended(version_2: Path) -> None:
    tree = CgroupTree("bed-1", version_2)
    tree.create()
    pod = version_2 / "bed-1" / "kubepods" / "cgroup.procs"
    pod.parent.mkdir()
    with subprocess.Popen(["/bin/sleep", "60"]) as child:
        # 0 is how the kernel shows a process of another process namespace.
        pod.write_text(f"{child.pid}\n0\n")
        assert tree.processes() == {child.pid}

        def vanish(identifier: int, number: int) -> None:
            os.kill(identifier, number)
            pod.write_text("")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("testbed.cgroups.os", type("Os", (), {"kill": staticmethod(vanish), "walk": os.walk}))
            tree.kill()
        assert child.wait(5) == -signal.SIGKILL
    assert tree.processes() == set()
