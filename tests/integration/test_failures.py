"""An order of which one name fails: what is kept, what is said, what goes on."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import pytest

from harness.cluster import conditions
from harness.dns_front import DnsFront
from testbed.options import Profile
from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Tenant
    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble

BAD = "bad.fails.example.test"
GOOD = ("one.fails.example.test", "two.fails.example.test")


@pytest.fixture
def ca_dns(bed: TestBed) -> Iterator[DnsFront]:
    """What the CA asks: the operator sees the records that the CA does not."""
    with DnsFront(bed.bind) as front:
        yield front


@pytest.fixture
def ca(make_pebble: Callable[..., Pebble], ca_dns: DnsFront) -> Iterator[RecordingProxy]:
    pebble = make_pebble(nonce_reject_percent=0, authz_reuse_percent=0, dns_server=ca_dns.address)
    with RecordingProxy.for_pebble(pebble) as proxy:
        yield proxy


def test_one_name_that_fails_is_named_and_the_last_good_certificate_stays(
    tenant: Tenant, ca: RecordingProxy, ca_dns: DnsFront
) -> None:
    ca_dns.hide(f"_acme-challenge.{BAD}")
    tenant.add_issuer("ca", server=ca.directory_url)
    tenant.apply("web", *GOOD, issuerRef={"name": "ca"})
    tenant.ready("web")
    before = tenant.cluster.secret_data(tenant.namespace, "web-tls")

    tenant.apply("web", *GOOD, BAD, issuerRef={"name": "ca"})
    condition = tenant.not_ready("web", "ValidationFailed")
    assert BAD in condition["message"]
    assert not any(name in condition["message"] for name in GOOD)

    found = tenant.cluster.get("Certificate", tenant.namespace, "web") or {}
    status = found["status"]
    assert conditions(found)["Issuing"]["status"] == "False"
    assert status["order"]["state"] == "invalid"
    by_name = {entry["name"]: entry for entry in status["order"]["authorizations"]}
    assert set(by_name) == {*GOOD, BAD}
    assert by_name[BAD]["state"] == "invalid"
    assert "TXT" in by_name[BAD]["error"]
    assert all("error" not in by_name[name] for name in GOOD)
    assert status["revision"] == 1
    assert status["failedAttempts"] == 1
    pause = dt.datetime.fromisoformat(status["nextAttemptTime"]) - dt.datetime.fromisoformat(status["lastFailureTime"])
    assert dt.timedelta(minutes=1) <= pause <= dt.timedelta(minutes=1.1), "a minute, and up to a tenth of it at random"

    assert tenant.cluster.secret_data(tenant.namespace, "web-tls") == before
    assert "finalizers" not in found["metadata"]
    assert all(tenant.challenge_values(f"_acme-challenge.{name}") == [] for name in (*GOOD, BAD))
    event = tenant.cluster.wait_for(
        "there is no Warning",
        lambda: next((one for one in tenant.cluster.events(tenant.namespace, "web") if one["type"] == "Warning"), None),
        lambda _: True,
    )
    assert event["reason"] == "ValidationFailed"
    assert BAD in event["message"]

    tenant.apply("other", "other.fails.example.test", issuerRef={"name": "ca"})
    tenant.ready("other")
    assert ca.counts()[NEW_ORDER] == 3, "the failed order must not be tried again at once"


def test_who_takes_the_failed_name_out_does_not_wait(tenant: Tenant, ca: RecordingProxy, ca_dns: DnsFront) -> None:
    ca_dns.hide(f"_acme-challenge.{BAD}")
    tenant.add_issuer("ca", server=ca.directory_url)
    tenant.apply("web", *GOOD, BAD, issuerRef={"name": "ca"})
    tenant.not_ready("web", "ValidationFailed")
    tenant.apply("web", *GOOD, issuerRef={"name": "ca"})
    status = tenant.ready("web")["status"]
    assert status["revision"] == 1
    assert status["failedAttempts"] == 0
    assert "order" not in status
    assert "nextAttemptTime" not in status


def test_a_restart_does_not_shorten_the_pause_after_a_failure(
    tenant: Tenant, ca: RecordingProxy, ca_dns: DnsFront
) -> None:
    ca_dns.hide(f"_acme-challenge.{BAD}")
    tenant.add_issuer("ca", server=ca.directory_url)
    tenant.apply("web", BAD, issuerRef={"name": "ca"})
    tenant.not_ready("web", "ValidationFailed")
    before = (tenant.cluster.get("Certificate", tenant.namespace, "web") or {})["status"]
    tenant.operator.kill()
    tenant.operator.start()
    tenant.apply("other", "other.restart.example.test", issuerRef={"name": "ca"})
    tenant.ready("other")
    after = (tenant.cluster.get("Certificate", tenant.namespace, "web") or {})["status"]
    assert after["nextAttemptTime"] == before["nextAttemptTime"]
    assert after["order"]["authorizations"] == before["order"]["authorizations"]
    assert ca.counts()[NEW_ORDER] == 2


def test_a_renewal_that_fails_leaves_the_certificate_ready_until_it_ends(
    tenant: Tenant, make_pebble: Callable[..., Pebble], ca_dns: DnsFront
) -> None:
    place = "_acme-challenge.renewal.fails.example.test"
    # Due after two seconds, and good for twenty more, in which the renewal has to fail.
    brief = {"default": Profile(validity_seconds=22)}
    tenant.add_issuer("brief", pebble=make_pebble(profiles=brief, dns_server=ca_dns.address, authz_reuse_percent=0))
    tenant.apply("web", "renewal.fails.example.test", issuerRef={"name": "brief"}, renewBeforePercentage=85)
    tenant.ready("web")
    ca_dns.hide(place)
    failed = tenant.cluster.wait_for(
        "the renewal has not failed",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda found: conditions(found)["Issuing"]["reason"] == "ValidationFailed",
    )
    ready = conditions(failed)["Ready"]
    assert ready["status"] == "True", ready
    assert "renewal.fails.example.test" in ready["message"]
    ends = dt.datetime.fromisoformat(failed["status"]["notAfter"])
    assert tenant.challenge_values(place) == []
    time.sleep(max(0.0, (ends - dt.datetime.now(dt.UTC)).total_seconds()))
    tenant.not_ready("web", "ValidationFailed")
