"""The fixtures of whole-cluster tests: a bed with a real node. `make e2e` runs them, as root.

With KEEP=1 a run with a failure waits before it ends the bed, and says how to look into it.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from harness.cluster import Cluster
from scenarios.halves import BESIDE_OWN, HALVES
from scenarios.installed import Release
from scenarios.one_order import WatchedCA
from scenarios.pods import start_web
from scenarios.space import Space, fresh_namespace
from testbed import BedOptions, TestBed
from testbed.assembly import programs_for
from testbed.errors import BedError
from testbed.isolation import bed_cgroup
from testbed.progress import reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

OPTIONS = BedOptions(node=True, gateway=True, network_policies=True, audit=True)
TAIL_LINES = 30
TURNS = {"bare_cluster": 0, "replicas": 1, "namespaced_release": 1}
"""When tests come that use these fixtures: releases of single files."""
BED = pytest.StashKey[TestBed]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `python -m scenarios` run one half beside the other."""
    parser.addoption(
        "--half",
        choices=HALVES,
        help="only files with a release of their own and some more, or all others",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have the releases of single files come first, and of these the ones that take the CRDs away; choose a half.

    The release that many files share serves all namespaces, and lasts until the end of the session.
    """
    items.sort(key=_turn)
    if (half := config.option.half) is not None:
        config.hook.pytest_deselected(items=[item for item in items if _half(item) != half])
        items[:] = [item for item in items if _half(item) == half]


def _turn(item: pytest.Item) -> int:
    turns = [TURNS[name] for name in getattr(item, "fixturenames", ()) if name in TURNS]
    return min(turns, default=len(TURNS))


def _half(item: pytest.Item) -> str:
    return HALVES[0] if _turn(item) < len(TURNS) or item.path.name in BESIDE_OWN else HALVES[1]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where a node cannot run; these tests are never skipped silently."""
    if session.items and not session.config.option.collectonly:
        try:
            bed_cgroup()
        except BedError as error:
            raise pytest.UsageError(str(error)) from None


@pytest.fixture(scope="session")
def node_bed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[TestBed]:
    """The bed with its node Ready, the Gateway served, the audit log on and our CRDs applied."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    programs_for(OPTIONS, reporter())
    with TestBed(OPTIONS, folder=tmp_path_factory.mktemp("bed")) as bed:
        request.config.stash[BED] = bed
        bed.apply_crds()
        with capture.global_and_fixture_disabled():
            print(f"\nThe bed is up, its node Ready, after {bed.up_seconds:.1f} s.")
        yield bed
        if os.environ.get("KEEP") and request.session.testsfailed:
            with capture.global_and_fixture_disabled():
                _linger(bed)


@pytest.fixture(scope="session")
def cluster(node_bed: TestBed) -> Iterator[Cluster]:
    """A client of the bed's API server, as administrator."""
    with Cluster(node_bed) as client:
        yield client


@pytest.fixture(scope="session")
def operator_release(node_bed: TestBed) -> Iterator[Release]:
    """The operator installed by Helm in the namespace `certwright`, serving all namespaces, its pod Ready."""
    release = Release(node_bed)
    release.install({"tlsAlpn01": {"enabled": True}})
    yield release
    release.uninstall()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a fresh namespace that takes pods of the restricted profile only; it goes after the test."""
    with fresh_namespace(cluster) as name:
        yield name


@pytest.fixture
def space(node_bed: TestBed, cluster: Cluster, operator_release: Release, namespace: str) -> Space:
    """A fresh namespace, served by the operator."""
    return Space(node_bed, cluster, operator_release, namespace)


@pytest.fixture(scope="module")
def shop(node_bed: TestBed, cluster: Cluster, operator_release: Release) -> Iterator[Space]:
    """A namespace with a web server to put behind Traefik, for all tests of a module."""
    with fresh_namespace(cluster) as name:
        start_web(node_bed, cluster, name, "web")
        yield Space(node_bed, cluster, operator_release, name)


@pytest.fixture(scope="module")
def team(cluster: Cluster) -> Iterator[str]:
    """The namespace that an installation of a file's own serves."""
    name = f"team-{secrets.token_hex(4)}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    cluster.delete("Namespace", None, name)


@pytest.fixture(scope="module")
def watched(node_bed: TestBed, cluster: Cluster) -> Iterator[WatchedCA]:
    """A CA at which orders wait until the test lets them go on."""
    with WatchedCA.start(node_bed, cluster) as started:
        yield started


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a measurement where users see it, whether the test fails or not."""

    def line(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end=" ")

    return line


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add pods, events and the ends of all logs to the report of a failed test."""
    report = yield
    bed = item.config.stash.get(BED, None)
    if report.failed and bed is not None:
        for title, command in {
            "pods": ("get", "pods", "--all-namespaces", "--output=wide"),
            "events": ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
        }.items():
            report.sections.append((f"cluster: {title}", bed.kubectl(*command, check=False)))
        for log in sorted(bed.node.pod_logs.glob("*/*/*.log")):
            with suppress(FileNotFoundError):  # of a pod that is just going
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
                report.sections.append((f"pod: end of {log.relative_to(bed.node.pod_logs)}", tail))
        for name, tail in bed.tails(TAIL_LINES).items():
            if tail:
                report.sections.append((f"test bed: end of the log of {name}", tail))
    return report


def _linger(bed: TestBed) -> None:
    print(
        f"\nA test failed, and KEEP is set: the bed stays up, with its logs in {bed.folder}.\n"
        "Enter it from another terminal with the nsenter command above, then:\n"
        f"  export KUBECONFIG={bed.kubeconfig}\n"
        f"  {bed.programs['kubectl']} get pods --all-namespaces\n"
    )
    if sys.stdin.isatty():
        input("Press Enter to end it.")
    else:
        print("Send SIGTERM to `python -m testbed isolated` to end it.", flush=True)
        # A shell starts what runs in its background with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            signal.pause()
