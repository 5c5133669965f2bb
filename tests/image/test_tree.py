from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rootfs.packages import describe_packages
from rootfs.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

STATUS = """Package: libz
Status: install ok installed
Version: 1.3

Package: unused
Status: install ok installed
Version: 2
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A Debian in small: /lib is a link, the library is one as well, and belongs to a package of before the merge."""
    base = tmp_path / "base"
    (base / "usr/lib").mkdir(parents=True)
    (base / "lib").symlink_to("usr/lib")
    (base / "usr/lib/libz.so.1.3").write_text("library")
    (base / "usr/lib/libz.so.1.3").chmod(0o4775)
    (base / "usr/lib/libz.so.1").symlink_to("libz.so.1.3")
    (base / "usr/lib/absolute").symlink_to("/usr/lib/../lib/libz.so.1")
    return base


@pytest.fixture
def tree(tmp_path: Path, base: Path) -> Tree:
    return Tree(tmp_path / "root", base)


def test_the_links_on_the_way_come_along_and_the_set_uid_bit_does_not(tree: Tree) -> None:
    tree.add("/lib/libz.so.1")
    assert str(tree.at("/lib").readlink()) == "usr/lib"
    assert str(tree.at("/usr/lib/libz.so.1").readlink()) == "libz.so.1.3"
    assert tree.at("/usr/lib/libz.so.1.3").read_text() == "library"
    assert tree.at("/usr/lib/libz.so.1.3").stat().st_mode & 0o7777 == 0o755
    assert tree.copied == {"/usr/lib/libz.so.1.3"}
    assert list(tree.files()) == [tree.at("/usr/lib/libz.so.1.3")]


def test_absolute_links_are_followed_in_the_source(tree: Tree) -> None:
    tree.add("/lib/absolute")
    assert tree.copied == {"/usr/lib/libz.so.1.3"}


def test_a_link_to_itself_ends_in_an_error(tree: Tree, base: Path) -> None:
    (base / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="loop"):
        tree.add("/loop")


def test_scanners_see_the_packages_that_files_are_from(tree: Tree, base: Path) -> None:
    (base / "var/lib/dpkg/info").mkdir(parents=True)
    (base / "var/lib/dpkg/status").write_text(STATUS)
    (base / "var/lib/dpkg/info/libz:amd64.list").write_text("/.\n/lib/libz.so.1.3\n")
    (base / "var/lib/dpkg/info/unused.list").write_text("/.\n/usr/bin/unused\n")
    (base / "usr/share/doc/libz").mkdir(parents=True)
    (base / "usr/share/doc/libz/copyright").write_text("zlib licence")
    tree.add("/lib/libz.so.1")
    assert describe_packages(tree) == ["libz"]
    stanza = tree.at("/var/lib/dpkg/status.d/libz").read_text()
    assert stanza == "Package: libz\nStatus: install ok installed\nVersion: 1.3\n"
    assert tree.at("/usr/share/doc/libz/copyright").read_text() == "zlib licence"


def test_a_base_without_dpkg_is_left_without(tree: Tree) -> None:
    assert describe_packages(tree) == []
