from __future__ import annotations

from pathlib import Path

import pytest

from testbed.errors import BedError
from testbed.isolation import CGROUP, NETWORK, bed_cgroup, run_isolated
from testbed.progress import PlainReporter


def test_without_root_it_says_so_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("testbed.isolation.os.geteuid", lambda: 1000)
    witness = tmp_path / "ran"
    with pytest.raises(BedError, match=r"requires root[\s\S]*What to do: run it as root, for example `sudo make e2e`"):
        run_isolated(["touch", str(witness)], PlainReporter(lambda _: None))
    assert not witness.exists()


def test_a_machine_without_namespaces_is_told_what_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "unshare"
    refusing.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2; exit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("testbed.isolation.os.geteuid", lambda: 0)
    with pytest.raises(BedError, match=r"does not allow creating them\nunshare failed: .* permitted\n.*CAP_SYS_ADMIN"):
        run_isolated(["true"], PlainReporter(lambda _: None))


def test_outside_of_its_namespaces_a_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CGROUP, "certwright-testbed-0")
    for network in ("", "net:[1]"):
        monkeypatch.setenv(NETWORK, network)
        with pytest.raises(
            BedError, match=r"its own network, mount and process namespaces; this process does not\n.*make e2e"
        ):
            bed_cgroup()


def test_two_beds_have_cgroups_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CGROUP, "certwright-testbed-0")
    monkeypatch.setenv(NETWORK, str(Path("/proc/self/ns/net").readlink()))
    one, other = bed_cgroup(), bed_cgroup()
    assert one != other
    assert all(name.startswith("certwright-testbed-0-") for name in (one, other))
