"""The image as it is: small, without tools, and working as an unprivileged user on a file system that is read-only."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import time
import tomllib
from typing import TYPE_CHECKING

import pytest

from testbed.images import certwright_image
from testbed.locations import PROJECT
from testbed.oci import OciArchive, size_of
from testbed.progress import reporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(900)

USER = "65532"
# Measured on Debian 12: 23.5 MB and 63.0 MB.
COMPRESSED_AT_MOST = 27_000_000
UNPACKED_AT_MOST = 71_000_000
# Mounts are the command's own, and vanish with it.
READ_ONLY = (
    'mount --make-rprivate / && mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'
    f' && exec /usr/sbin/chroot --userspec={USER}:{USER} "$0" "$@"'
)
TOOLS = re.compile(
    r"/(sh|bash|dash|ash|busybox|env|cat|ls|apt|apt-get|perl|gcc|cc|ld|make)$"
    r"|/(pip|setuptools|wheel|ensurepip|hatchling|distutils)(-[^/]*)?/"
)
TESTS = re.compile(r"/(tests?|idlelib|unittest)(/|$)|/(test_\w+|\w+_test|conftest)\.pyc?$|\.pyi$")


@pytest.fixture(scope="module")
def archive(request: pytest.FixtureRequest) -> OciArchive:
    assert os.geteuid() == 0, "the image is built and looked into as root"
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        return OciArchive(certwright_image(reporter()))


@pytest.fixture(scope="module")
def root(archive: OciArchive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "root"
    archive.unpack(folder)
    # pytest keeps its folders to their owner; the image's user has to get in.
    folder.chmod(0o755)
    return folder


@pytest.fixture
def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if not path.is_symlink()]


def run(archive: OciArchive, root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the root as the image's user, with its environment and nothing that can be written."""
    environment = dict(variable.split("=", 1) for variable in archive.configuration["Env"])
    return subprocess.run(
        ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", READ_ONLY, str(root), *command],
        env={**environment, "PATH": f"{environment['PATH']}:/usr/sbin:/usr/bin:/sbin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_it_is_small(archive: OciArchive, root: Path, show: Callable[[str], None]) -> None:
    compressed, unpacked = archive.compressed_bytes, size_of(root)
    show(f"image: {compressed / 1e6:.1f} MB to fetch, {unpacked / 1e6:.1f} MB unpacked")
    assert compressed < COMPRESSED_AT_MOST
    assert unpacked < UNPACKED_AT_MOST


def test_a_change_of_the_code_is_a_small_layer(archive: OciArchive) -> None:
    dependencies, project = archive.manifest["layers"]
    assert project["size"] < dependencies["size"] / 8


def test_it_says_what_it_is_and_runs_as_nobody_in_particular(archive: OciArchive) -> None:
    configuration = archive.configuration
    assert configuration["User"] == f"{USER}:{USER}"
    assert configuration["Entrypoint"] == ["certwright"]
    assert configuration["Cmd"] == ["run"]
    assert {port.removesuffix("/tcp") for port in configuration["ExposedPorts"]} == {"8080", "8089"}
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in configuration["Labels"].items()}
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert labels["title"] == "Certwright"
    assert labels["licenses"] == "Apache-2.0"
    assert labels["version"] == version
    assert {"description", "revision", "created"} <= set(labels)


def test_there_is_no_shell_no_installer_no_test_and_no_source_but_our_own(root: Path, files: list[Path]) -> None:
    names = [f"/{path.relative_to(root)}" for path in files]
    assert [name for name in names if TOOLS.search(name)] == []
    assert [name for name in names if TESTS.search(name)] == []
    assert [name for name in names if name.endswith(".py") and "/site-packages/certwright/" not in name] == []
    programs = {path.name for path in root.rglob("*") if path.parent.name in {"bin", "sbin"}}
    ours = {"certwright", "kubectl-certwright", "kubectl_complete-certwright"}
    assert {re.sub(r"python3\.\d+", "python3.x", name) for name in programs} == {*ours, "python3", "python3.x"}


def test_nothing_is_set_uid_and_nothing_can_be_written_by_the_user(root: Path, files: list[Path]) -> None:
    assert files
    for path in (root, *files):
        status = path.stat()
        assert not status.st_mode & (stat.S_ISUID | stat.S_ISGID), path
        assert not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
        assert (status.st_uid, status.st_gid) == (0, 0), path
        assert "security.capability" not in os.listxattr(path), path


def test_the_history_holds_nothing_of_the_machine_it_was_made_on(archive: OciArchive) -> None:
    assert "://" not in archive.history
    assert str(PROJECT) not in archive.history
    assert "PIP_INDEX" not in archive.history


def test_the_files_times_are_fixed_so_that_two_builds_are_one(files: list[Path]) -> None:
    assert {path.stat().st_mtime for path in files} == {0.0}


@pytest.mark.parametrize("command", [["version"], ["run", "--help"], ["crds", "--help"]])
def test_the_program_runs_on_a_read_only_root(
    archive: OciArchive, root: Path, command: list[str], show: Callable[[str], None]
) -> None:
    began = time.monotonic()
    answer = run(archive, root, *archive.configuration["Entrypoint"], *command)
    show(f"certwright {' '.join(command)}: {time.monotonic() - began:.2f} s")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip()
    assert answer.stderr == ""


def test_without_a_cluster_it_says_so(archive: OciArchive, root: Path) -> None:
    answer = run(archive, root, *archive.configuration["Entrypoint"], *archive.configuration["Cmd"])
    assert answer.returncode == 1
    assert "no credentials for a Kubernetes API server" in answer.stdout + answer.stderr


def test_every_module_imports(archive: OciArchive, root: Path) -> None:
    answer = run(archive, root, "python3", "-c", (PROJECT / "docker" / "check_root.py").read_text())
    assert answer.returncode == 0, answer.stderr
    modules = int(answer.stdout.split()[0])
    package = PROJECT / "operator" / "certwright"
    # What authors of DNS providers test with is for their own machines.
    sources = [
        path
        for path in package.rglob("*.py")
        if path.name != "__main__.py" and path.relative_to(package).parts[0] != "testing"
    ]
    # The package itself is imported, and not counted.
    assert modules == len(sources) - 1


def test_the_user_cannot_write_anywhere(archive: OciArchive, root: Path) -> None:
    program = "import os; print([d for d, _, _ in os.walk('/') if os.access(d, os.W_OK)])"
    assert run(archive, root, "python3", "-c", program).stdout.strip() == "[]"


def test_every_library_finds_the_libraries_it_needs(archive: OciArchive, root: Path, files: list[Path]) -> None:
    loader = next(f"/{path.relative_to(root)}" for path in files if path.name.startswith("ld-linux"))
    libraries = [f"/{path.relative_to(root)}" for path in files if ".so" in path.name and path.parent.name != "etc"]
    assert len(libraries) > 20
    # The image has no shell to loop with.
    program = (
        "import subprocess, sys\n"
        "for path in sys.argv[2:]:\n"
        "    answer = subprocess.run([sys.argv[1], '--list', path], capture_output=True, text=True)\n"
        "    print(path, answer.stdout) if 'not found' in answer.stdout + answer.stderr else None\n"
    )
    assert run(archive, root, "python3", "-c", program, loader, *libraries).stdout == ""


def test_certificates_of_public_authorities_are_trusted_from_one_store(archive: OciArchive, root: Path) -> None:
    program = (
        "import certifi, httpx, os, ssl\n"
        "print(len(ssl.create_default_context().get_ca_certs()), len(httpx.create_ssl_context().get_ca_certs()))\n"
        "print(os.path.realpath(certifi.where()))"
    )
    counts, store = run(archive, root, "python3", "-c", program).stdout.splitlines()
    openssl, httpx = map(int, counts.split())
    assert openssl == httpx > 50
    assert store == "/etc/ssl/certs/ca-certificates.crt"


def test_scanners_are_told_where_the_libraries_are_from(root: Path) -> None:
    packages = {path.name: path.read_text() for path in (root / "var/lib/dpkg/status.d").iterdir()}
    assert {"libc6", "libssl3"} <= set(packages) or {"libc6", "libssl3t64"} <= set(packages)
    for name, stanza in packages.items():
        assert stanza.startswith(f"Package: {name}\n")
        assert "\nVersion: " in stanza
        assert (root / "usr/share/doc" / name / "copyright").exists()
