"""`certwright acme` at a CA whose machines do not agree at once, or that leaves a failed order pending."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.acme_command import AcmeCommand
from testbed.faults import FAULTS, FaultProxy
from testbed.options import PebbleOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.bed import TestBed


@pytest.fixture(scope="module")
def ca(bed: TestBed, http_port: int) -> Iterator[FaultProxy]:
    started = bed.start_pebble("pebble-cli-awkward", PebbleOptions(http_port=http_port, authz_reuse_percent=0))
    with FaultProxy.of(started) as proxy:
        yield proxy
    bed.end_pebble(started)


@pytest.fixture(scope="module")
def acme(bed: TestBed, ca: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> AcmeCommand:
    command = AcmeCommand(tmp_path_factory.mktemp("cli") / "state", ca.directory_url, bed.pebble.ca_bundle)
    command.ok("register", "--agree-tos")
    return command


def pending(acme: AcmeCommand, name: str) -> Path:
    return acme.certificate(name) / "order.json"


def test_replicas_that_are_behind_cost_no_second_order(
    acme: AcmeCommand, ca: FaultProxy, name: str, standalone: list[str]
) -> None:
    ca.misbehave(FAULTS["not-found-at-first"])
    certificate = acme.ok("issue", name, *standalone)["certificate"]
    assert ca.struck["not-found-at-first"] >= 5
    assert certificate["names"] == [name]
    assert not pending(acme, name).exists()


def test_an_order_that_was_finalized_is_kept_with_its_key_until_its_certificate_is_here(
    acme: AcmeCommand, ca: FaultProxy, name: str, standalone: list[str]
) -> None:
    ca.misbehave(FAULTS["always-processing"])
    kept = []
    for _ in range(3):
        ended = acme.run("issue", name, *standalone, "--timeout", "3", "--json")
        assert ended.code != 0
        assert "is still processing" in ended.document["error"]["message"]
        kept.append(json.loads(pending(acme, name).read_text()))
    assert kept[0]["finalized"]
    assert {(one["order_url"], one["private_key"]) for one in kept} == {(kept[0]["order_url"], kept[0]["private_key"])}
    ca.misbehave()
    certificate = acme.ok("issue", name, *standalone)["certificate"]
    assert certificate["order_url"] == kept[0]["order_url"]
    assert (acme.certificate(name) / "privkey.pem").read_text() == kept[0]["private_key"]


def test_an_authorization_that_failed_in_a_pending_order_ends_it_with_its_reason(
    acme: AcmeCommand, ca: FaultProxy, name: str, standalone: list[str]
) -> None:
    ca.misbehave(FAULTS["authorization-fails-in-pending-order"])
    ended = acme.run("issue", name, *standalone, "--json")
    assert ended.document["error"]["by_name"][name]["message"] == "dns: no TXT record found"
    assert not pending(acme, name).exists(), "the next run would go on with a dead order"
