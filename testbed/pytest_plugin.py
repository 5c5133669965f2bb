"""Fixtures for tests that need the real parts, and the parts' logs in the report of a test that fails.

The bed is started once for a test session (and for each xdist worker). With CERTWRIGHT_TESTBED_DIR set to the
folder of a bed that is up (`python -m testbed up`), that bed is used, which saves the start while one works
on a single test.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .assembly import programs_for
from .bed import TestBed
from .binaries import find, find_or_build
from .catalogue import PROGRAMS
from .golang import find_go
from .options import BedOptions, PebbleOptions
from .parts.cert_manager import CertManager
from .parts.dns_webhook import DnsWebhook
from .parts.step_ca import StepCa
from .process import heed_interrupts
from .progress import reporter

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .parts.bind import Bind
    from .parts.pebble import Pebble

ATTACH = "CERTWRIGHT_TESTBED_DIR"
TAIL_LINES = 30
# What every client has to cope with.
OPTIONS = BedOptions(pebble=PebbleOptions(nonce_reject_percent=30, authz_reuse_percent=50), audit=True)
PROGRAM_FIXTURES = ("helm", "kubeconform", "lego")
"""Fixtures that are programs of their own, beside the bed's parts."""
BUILT_FIXTURES = {
    "step_ca": StepCa.program,
    "dns_webhook": DnsWebhook.program,
    "cert_manager": CertManager.program,
}
"""Fixtures that start a part which the bed has only then."""
_BED = pytest.StashKey[TestBed]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option for a machine on which nothing is built yet."""
    parser.addoption(
        "--skip-unbuilt",
        action="store_true",
        help="skip tests that use Helm, kubeconform or lego if these are not built yet",
    )


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, also when the tests run in the background."""
    heed_interrupts()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests that need a build, if requested."""
    if not config.getoption("skip_unbuilt"):
        return
    go = find_go()
    for name in PROGRAM_FIXTURES:
        if find(PROGRAMS[name], go) is None:
            skipped = pytest.mark.skip(f"{name} is not built yet: `make test` builds it")
            for item in items:
                if name in getattr(item, "fixturenames", ()):
                    item.add_marker(skipped)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build missing programs before the first test, as a build exceeds a test's time-out."""
    if session.config.option.collectonly:
        return
    run = [item for item in session.items if item.get_closest_marker("skip") is None]
    used = {name for item in run for name in getattr(item, "fixturenames", ())}
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        if "bed" in used and ATTACH not in os.environ:
            programs_for(OPTIONS, reporter())
        find_or_build([name for name in PROGRAM_FIXTURES if name in used], reporter())
        find_or_build([program for name, program in BUILT_FIXTURES.items() if name in used], reporter())


@pytest.fixture(scope="session")
def bed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[TestBed]:
    """The bed with all its parts, up."""
    if folder := os.environ.get(ATTACH):
        attached = TestBed.attach(Path(folder))
        request.config.stash[_BED] = attached
        yield attached
        return
    with TestBed(OPTIONS, folder=tmp_path_factory.mktemp("testbed")) as started:
        request.config.stash[_BED] = started
        yield started


@pytest.fixture
def pebble(bed: TestBed) -> Pebble:
    """The bed's first Pebble: 30 % of nonces refused, half of the valid authorizations reused."""
    return bed.pebble


@pytest.fixture
def bind(bed: TestBed) -> Bind:
    """The bed's name server."""
    return bed.bind


@pytest.fixture
def namespace(bed: TestBed) -> Iterator[str]:
    """The name of a fresh namespace, removed after the test without waiting for it."""
    name = f"test-{secrets.token_hex(4)}"
    bed.kubectl("create", "namespace", name)
    yield name
    bed.kubectl("delete", "namespace", name, "--wait=false", check=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the last lines of the parts' logs to the report of a failed test that used the bed."""
    report = yield
    running = item.config.stash.get(_BED, None)
    if report.failed and running is not None and "bed" in getattr(item, "fixturenames", ()):
        for name, tail in running.tails(TAIL_LINES).items():
            report.sections.append((f"test bed: end of the log of {name}", tail))
    return report
