"""Certificates on disk: exchanged in one step, whatever happens in the middle of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from certwright.cli.acme import certificate_store
from certwright.cli.acme.certificate_store import CertificateStore
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.settings import IssuanceSettings, Metadata, RenewalState
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from certwright.cli.acme.certificate_store import CertificateFolder

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"


def metadata(number: int) -> Metadata:
    settings = IssuanceSettings(("a.example.test", f"{number}.example.test"), "https://ca.example.test/dir")
    return Metadata(settings, NOW + timedelta(seconds=number), NOW, NOW + timedelta(days=90), f"{number:04x}")


def store(folder: CertificateFolder, number: int, **more: bytes) -> None:
    files = {"fullchain.pem": b"chain %d" % number, "privkey.pem": KEY + b"%d" % number}
    folder.store(files | {f"{name}.pem": content for name, content in more.items()}, metadata(number))


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    found = CertificateStore(tmp_path).at("a.example.test")
    found.prepare()
    return found


def test_what_is_stored_is_read(tmp_path: Path, folder: CertificateFolder) -> None:
    assert not folder.exists()
    assert list(CertificateStore(tmp_path).all()) == []
    store(folder, 1, request=b"request")
    assert folder.metadata() == metadata(1)
    assert folder.read("fullchain.pem") == b"chain 1"
    assert set(folder.files()) == {"fullchain", "privkey", "request"}
    assert [found.name for found in CertificateStore(tmp_path).all()] == ["a.example.test"]


def test_the_files_of_the_current_one_are_at_the_same_places_and_others_nowhere(folder: CertificateFolder) -> None:
    store(folder, 1, combined=KEY)
    store(folder, 2)
    assert (folder.path / "fullchain.pem").read_bytes() == b"chain 2"
    assert not (folder.path / "combined.pem").is_symlink()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder.path / "current").iterdir()}
    assert modes == {"fullchain.pem": 0o644, "privkey.pem": 0o600, "certificate.json": 0o600}


def test_the_one_before_is_kept_and_no_more(folder: CertificateFolder) -> None:
    for number in range(1, 6):
        store(folder, number)
    versions = sorted(path.name for path in (folder.path / "versions").iterdir())
    assert [name.rpartition("-")[2] for name in versions] == ["0004", "0005"]


def test_a_disk_that_is_full_leaves_the_old_one(folder: CertificateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    store(folder, 1)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CommandError, match=r"(?i)no space left"):
        store(folder, 2)
    monkeypatch.undo()
    assert folder.metadata() == metadata(1)
    assert (folder.path / "fullchain.pem").read_bytes() == b"chain 1"
    assert len(list((folder.path / "versions").iterdir())) == 1


# Ends itself at the n-th call that changes something on disk, for every n until none is left.
KILLED = """
import os, sys, json, pathlib, functools
sys.path.insert(0, {here!r})
import test_certificate_store as tests
from certwright.cli.acme import certificate_store
from certwright.cli.acme.certificate_store import CertificateStore
root = pathlib.Path(sys.argv[1])
seen = []
for number in range(1, 200):
    folder = CertificateStore(root / str(number)).at("a.example.test")
    folder.prepare()
    tests.store(folder, 1, combined=b"old")
    child = os.fork()
    if child == 0:
        left = [number]
        def counted(call):
            @functools.wraps(call)
            def whole(*args, **kwargs):
                left[0] -= 1
                if left[0] == 0:
                    os._exit(9)
                return call(*args, **kwargs)
            return whole
        for owner, names in ((os, ("fsync", "open", "fchmod")),
                             (pathlib.Path, ("replace", "rename", "symlink_to", "mkdir", "unlink"))):
            for name in names:
                setattr(owner, name, counted(getattr(owner, name)))
        tests.store(folder, 2)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    chain = (folder.path / "fullchain.pem").read_bytes()
    key = (folder.path / "privkey.pem").read_bytes()
    serial = json.loads((folder.path / "certificate.json").read_text())["serial"]
    seen.append([code, chain.decode()[-1], key.decode()[-1], serial[-1]])
    folder.prepare()
    assert not list(folder.path.glob("versions/.new-*"))
    links = {{path.name for path in folder.path.iterdir() if path.is_symlink()}} - {{"current"}}
    assert links == {{path.name for path in (folder.path / "current").iterdir()}}, (number, links)
    if code == 0:
        break
print(json.dumps(seen))
"""


def test_a_kill_at_any_step_leaves_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    here = os.path.dirname(__file__)  # noqa: PTH120 - a text for another process
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", KILLED.format(here=here), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) > 15
    assert seen[-1] == [0, "2", "2", "2"]
    assert {code for code, *_ in seen[:-1]} == {9}
    assert {tuple(which) for _, *which in seen} == {("1", "1", "1"), ("2", "2", "2")}


def test_what_is_known_of_a_renewal_is_about_one_certificate(folder: CertificateFolder) -> None:
    store(folder, 1)
    state = RenewalState("0001", at=NOW, hook_due=True)
    folder.save_renewal(state)
    assert folder.renewal("0001") == state
    assert folder.renewal("0002") == RenewalState("0002")
    folder.save_renewal(replace(state, hook_due=False))
    assert folder.renewal("0001").hook_due is False


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "-x", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        CertificateStore(tmp_path).at(name)


@pytest.mark.parametrize(
    ("first", "name"),
    [("example.com", "example.com"), ("*.example.com", "_wildcard.example.com"), ("2001:db8::1", "2001-db8--1")],
)
def test_a_certificate_is_called_by_its_first_name(tmp_path: Path, first: str, name: str) -> None:
    assert CertificateStore(tmp_path).at(CertificateStore.default_name(first)).name == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("xn--bcher-kva.example.test", "xn--bcher-kva.example.test"),
        ("BÜCHER.example.test.", "xn--bcher-kva.example.test"),
        ("*.Example.test", "_wildcard.example.test"),
        ("_wildcard.example.test", "_wildcard.example.test"),
        ("web", "web"),
        ("missing.example.test", "missing.example.test"),
        ("*.missing.test", "_wildcard.missing.test"),
    ],
)
def test_a_certificate_is_found_by_its_domain_in_any_spelling(tmp_path: Path, text: str, name: str) -> None:
    for one in ("xn--bcher-kva.example.test", "_wildcard.example.test", "web"):
        (tmp_path / one).mkdir()
    assert CertificateStore(tmp_path).named(text).name == name


def test_what_is_neither_a_name_nor_a_domain_is_refused(tmp_path: Path) -> None:
    for text in ("../web", "a b", "", "/etc"):
        with pytest.raises(UsageError):
            CertificateStore(tmp_path).named(text)


def test_a_long_domain_has_a_name_of_its_own() -> None:
    first, other = (f"{letter}.{'.'.join(['a' * 60] * 4)}" for letter in "xy")
    names = {CertificateStore.default_name(one) for one in (first, other, f"*.{first}")}
    assert len(names) == 3
    assert all(CertificateStore(Path()).at(name).name == name for name in names)


def test_a_deletion_that_was_interrupted_is_finished(tmp_path: Path, folder: CertificateFolder) -> None:
    store(folder, 1)
    certificates = CertificateStore(tmp_path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(certificate_store, "_remove", lambda _: None)  # the process was killed
        folder.delete()
    assert [path.name.startswith(".deleted-") for path in tmp_path.iterdir()] == [True]
    certificates.finish_deletions()
    assert not list(tmp_path.iterdir())


def test_settings_that_another_run_has_changed_are_not_lost(folder: CertificateFolder) -> None:
    store(folder, 1)
    before = folder.metadata()
    folder.save_settings(before, replace(before.settings, deploy_hook="first"))
    with pytest.raises(CommandError, match=r"Another run has changed a\.example\.test meanwhile"):
        folder.save_settings(before, replace(before.settings, combined=True))
    assert folder.metadata().settings.deploy_hook == "first"
