"""What the operator lives through: the API server, the CA and the name server going and coming back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness import Tenant
    from harness.dns_front import DnsFront
    from testbed.parts.pebble import Pebble

NEW_ACCOUNT = ("POST", "/sign-me-up")
PLACE = "_acme-challenge.restart.example.test"


@pytest.fixture
def forgetful(make_pebble: Callable[..., Pebble]) -> Pebble:
    """A Pebble to be restarted: it knows no accounts, orders or roots afterwards."""
    return make_pebble(nonce_reject_percent=0, authz_reuse_percent=0)


@pytest.fixture
def counted(forgetful: Pebble) -> Iterator[RecordingProxy]:
    with RecordingProxy.for_pebble(forgetful) as proxy:
        yield proxy


@pytest.fixture
def waiting(tenant: Tenant, counted: RecordingProxy, dns_front: DnsFront) -> dict[str, Any]:
    """A Certificate whose order waits until ``dns_front`` shows its record."""
    dns_front.hide(PLACE)
    tenant.add_issuer("slow", server=counted.directory_url, dns_server=dns_front.address)
    tenant.apply("web", "restart.example.test", issuerRef={"name": "slow"})
    return tenant.under_way("web")


def test_the_api_server_is_restarted_during_an_order(
    tenant: Tenant, waiting: dict[str, Any], dns_front: DnsFront, counted: RecordingProxy
) -> None:
    tenant.bed.apiserver.stop()
    dns_front.show()  # the order goes on as far as it can
    tenant.bed.apiserver.start()
    found = tenant.ready("web")
    assert found["metadata"]["uid"] == waiting["metadata"]["uid"]
    assert found["status"]["revision"] == 1
    assert "finalizers" not in found["metadata"]
    assert tenant.challenge_values(PLACE) == []
    assert counted.counts()[NEW_ORDER] == 1
    assert counted.counts()[NEW_ACCOUNT] == 1


def test_the_api_server_stays_away_for_longer_than_one_write_is_tried(
    tenant: Tenant, waiting: dict[str, Any], dns_front: DnsFront, counted: RecordingProxy
) -> None:
    tenant.bed.apiserver.kill()
    dns_front.show()
    tenant.cluster.wait_for(
        "the operator has not given up a write",
        lambda: {"status": {"end of its log": tenant.operator.tail()}},
        lambda seen: (
            f"Certificate {tenant.namespace}/web: could not" in seen["status"]["end of its log"]
            or "APIServerUnreachable" in seen["status"]["end of its log"]
        ),
    )
    tenant.bed.apiserver.start()
    found = tenant.ready("web")
    assert found["metadata"]["uid"] == waiting["metadata"]["uid"]
    assert found["status"]["revision"] == 1
    assert counted.counts()[NEW_ORDER] == 1


def test_a_ca_that_forgot_everything_gets_the_same_account_key_again(
    tenant: Tenant, forgetful: Pebble, counted: RecordingProxy
) -> None:
    registered = tenant.add_issuer("ca", server=counted.directory_url)
    tenant.apply("before", "before.restart.example.test", issuerRef={"name": "ca"})
    tenant.ready("before")
    forgetful.stop()
    forgetful.start()
    tenant.apply("after", "after.restart.example.test", issuerRef={"name": "ca"})
    tenant.ready("after")
    again = tenant.cluster.wait_ready("Issuer", tenant.namespace, "ca")
    assert again["status"]["acme"]["keyThumbprint"] == registered["status"]["acme"]["keyThumbprint"]
    assert counted.counts()[NEW_ACCOUNT] == 2
    untouched = tenant.ready("before")
    assert untouched["status"]["revision"] == 1, "a new account is no reason to issue anew"


def test_a_ca_that_forgets_an_order_under_way_gets_a_new_one(
    tenant: Tenant, waiting: dict[str, Any], dns_front: DnsFront, forgetful: Pebble, counted: RecordingProxy
) -> None:
    forgetful.stop()
    forgetful.start()
    dns_front.show()
    found = tenant.ready("web")
    assert found["metadata"]["uid"] == waiting["metadata"]["uid"]
    assert found["status"]["revision"] == 1
    assert found["status"]["failedAttempts"] == 0
    assert "finalizers" not in found["metadata"]
    assert tenant.challenge_values(PLACE) == []
    assert counted.counts()[NEW_ORDER] == 2


def test_a_ca_that_is_down_for_a_while_holds_an_order_up_no_longer(
    tenant: Tenant, waiting: dict[str, Any], dns_front: DnsFront, counted: RecordingProxy, forgetful: Pebble
) -> None:
    forgetful.stop()
    dns_front.show()
    condition = tenant.not_ready("web", "CAUnreachable")
    assert "next attempt" in condition["message"]
    forgetful.start()
    found = tenant.ready("web")
    assert found["metadata"]["uid"] == waiting["metadata"]["uid"]
    assert counted.counts()[NEW_ORDER] == 2  # Pebble has forgotten the first


def test_the_name_server_is_restarted_during_an_order(
    tenant: Tenant, waiting: dict[str, Any], dns_front: DnsFront, counted: RecordingProxy
) -> None:
    tenant.bed.bind.stop()
    tenant.bed.bind.start()
    dns_front.show()
    found = tenant.ready("web")
    assert found["metadata"]["uid"] == waiting["metadata"]["uid"]
    assert found["status"]["revision"] == 1
    assert tenant.challenge_values(PLACE) == []
    assert counted.counts()[NEW_ORDER] == 1
