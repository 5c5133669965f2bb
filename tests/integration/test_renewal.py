"""Renewals that the CA asks for, with a real CA: mass revocation, stale windows, certificates that were replaced."""

from __future__ import annotations

import datetime as dt
import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certwright.acme import base64url, certificate_identifier
from certwright.certificates.secret.annotations import REVISION_ANNOTATION
from harness.cluster import conditions
from testbed.options import Profile
from testbed.parts.pebble import NEW_ORDER
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

    from harness import Tenant
    from testbed.parts.pebble import Pebble

MANY: Final = int(os.environ.get("CERTWRIGHT_TEST_REVOKED", "12"))
"""How many certificates are revoked at once."""


@pytest.mark.timeout(300 + 6 * MANY)
def test_a_mass_revocation_renews_every_certificate_once_and_not_at_once(
    tenant: Tenant, make_pebble: Callable[..., Pebble], request: pytest.FixtureRequest
) -> None:
    ca = make_pebble(nonce_reject_percent=0)
    counted_ca = RecordingProxy.for_pebble(ca)
    request.addfinalizer(counted_ca.stop)
    counted_ca.start()
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    names = [f"web-{number}" for number in range(MANY)]
    for name in names:
        tenant.apply(name, f"{name}.revoked.example.test", issuerRef={"name": "counted"})
    for name in names:
        tenant.ready(name, seconds=60 + 2 * MANY)
    tenant.operator.stop()
    first = _known_to_pebble({name: tenant.leaf(f"{name}-tls") for name in names})
    now = dt.datetime.now(dt.UTC)
    _move_windows(ca, first.values(), now - dt.timedelta(hours=2), now - dt.timedelta(hours=1))
    counted_ca.reset()
    tenant.operator.start()
    for name in first:
        _wait_revision(tenant, name, 2, seconds=60 + 2 * MANY)
    assert counted_ca.counts()[NEW_ORDER] == len(first)
    assert _replaced(counted_ca) == {_identifier(leaf) for leaf in first.values()}
    second = {name: tenant.leaf(f"{name}-tls") for name in first}
    begun = sorted(leaf.not_valid_before_utc for leaf in second.values())
    assert begun[-1] - begun[0] >= dt.timedelta(seconds=MANY / 5), "all of them at once"
    # The CA goes on saying so, of the new certificates as well.
    _move_windows(ca, second.values(), now - dt.timedelta(hours=2), now - dt.timedelta(hours=1))
    tenant.operator.stop()
    tenant.operator.start()
    for name in _known_to_pebble(second):
        _wait_asked(tenant, name, seconds=60 + 2 * MANY)
    for name, leaf in second.items():
        found = tenant.ready(name)
        assert (found["status"]["revision"], found["status"]["renewal"]["basis"]) == (2, "Lifetime")
        assert tenant.leaf(f"{name}-tls") == leaf
    assert counted_ca.counts()[NEW_ORDER] == len(first)


def test_twins_with_rsa_and_ecdsa_keys_replace_each_its_own_certificate(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    names = ("twins.example.test", "www.twins.example.test")
    tenant.apply("rsa", *names, issuerRef={"name": "counted"}, privateKey={"algorithm": "RSA"})
    tenant.apply("ecdsa", *names, issuerRef={"name": "counted"}, privateKey={"algorithm": "ECDSA"})
    first = {name: (tenant.ready(name), tenant.leaf(f"{name}-tls"))[1] for name in ("rsa", "ecdsa")}
    counted_ca.reset()
    for name in first:
        _ask_to_renew(tenant, name)
    for name in first:
        _wait_revision(tenant, name, 2)
    assert _replaced(counted_ca) == {_identifier(leaf) for leaf in first.values()}
    assert counted_ca.counts()[NEW_ORDER] == 2


def test_a_certificate_that_was_replaced_already_is_renewed_without_a_failure(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    tenant.apply("web", "replaced.example.test", issuerRef={"name": "counted"})
    tenant.ready("web")
    old = tenant.cluster.get("Secret", tenant.namespace, "web-tls")
    assert old is not None
    _ask_to_renew(tenant, "web")
    _wait_revision(tenant, "web", 2)
    # A backup brings the first one back, which the CA knows to be replaced.
    tenant.operator.stop()
    annotations = {**old["metadata"]["annotations"], REVISION_ANNOTATION: "2"}
    tenant.cluster.patch(
        "Secret", tenant.namespace, "web-tls", {"metadata": {"annotations": annotations}, "data": old["data"]}
    )
    counted_ca.reset()
    tenant.operator.start()
    _ask_to_renew(tenant, "web")
    found = _wait_revision(tenant, "web", 3)
    assert counted_ca.counts()[NEW_ORDER] == 2, "with what it replaces, and once more without"
    assert found["status"].get("failedAttempts", 0) == 0
    assert "Warning" not in {event["type"] for event in tenant.cluster.events(tenant.namespace, "web")}
    assert conditions(found)["Ready"]["status"] == "True"


def test_a_renewal_is_rehearsed_at_another_ca_and_nothing_but_the_result_is_left(
    tenant: Tenant, make_pebble: Callable[..., Pebble]
) -> None:
    real = make_pebble(profiles={"short": Profile("less than a minute", 45)})
    tenant.add_issuer("real", pebble=real, profile="short")
    rehearse = {"rehearse": {"issuerRef": {"name": "pebble"}, "before": "1h"}}
    tenant.apply("web", "rehearsed.example.test", issuerRef={"name": "real"}, renewal=rehearse)
    tenant.ready("web")
    first = tenant.leaf("web-tls")
    found = tenant.cluster.wait_for(
        "the rehearsal has no result",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda found: found["status"]["renewal"].get("rehearsal", {}).get("state") in {"Succeeded", "Failed"},
    )
    assert found["status"]["renewal"]["rehearsal"]["state"] == "Succeeded", found["status"]["renewal"]
    assert conditions(found)["Ready"]["status"] == "True"
    assert found["status"]["revision"] == 1
    assert tenant.leaf("web-tls") == first
    found = _wait_revision(tenant, "web", 2)
    assert real.certificate_status(tenant.leaf("web-tls").serial_number)["Status"] == "Valid"
    assert tenant.challenge_values("_acme-challenge.rehearsed.example.test") == []
    events = [event["reason"] for event in tenant.cluster.events(tenant.namespace, "web")]
    assert {"Rehearsing", "RehearsalSucceeded"} <= set(events)
    tenant.cluster.delete("Certificate", tenant.namespace, "web")


def _known_to_pebble(leaves: dict[str, x509.Certificate]) -> dict[str, x509.Certificate]:
    """Return those that Pebble can be asked about: it takes no serial numbers that DER begins with a zero octet."""
    return {name: leaf for name, leaf in leaves.items() if leaf.serial_number.bit_length() % 8}


def _move_windows(ca: Pebble, leaves: Any, start: dt.datetime, end: dt.datetime) -> None:
    window = {"suggestedWindow": {"start": start.isoformat(), "end": end.isoformat()}}

    def move(leaf: x509.Certificate) -> None:
        ca.set_renewal_info(leaf.public_bytes(Encoding.PEM).decode(), json.dumps(window))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(move, leaves))


def _replaced(proxy: RecordingProxy) -> set[str]:
    """Return what the orders that the CA has seen replace."""
    bodies = [request.body for request in proxy.requests if (request.method, request.path) == NEW_ORDER]
    payloads = [json.loads(base64url.decode(json.loads(body)["payload"])) for body in bodies]
    return {payload["replaces"] for payload in payloads if "replaces" in payload}


def _identifier(leaf: x509.Certificate) -> str:
    return certificate_identifier(leaf.public_bytes(Encoding.DER))


def _ask_to_renew(tenant: Tenant, name: str) -> None:
    request = {"id": f"again-{dt.datetime.now(dt.UTC):%H%M%S%f}", "action": "Renew"}
    tenant.cluster.patch("Certificate", tenant.namespace, name, {"spec": {"request": request}})


def _wait_asked(tenant: Tenant, name: str, *, seconds: float) -> dict[str, Any]:
    return tenant.cluster.wait_for(
        f"the CA was not asked about {name}",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, name),
        lambda found: "windowStart" in found["status"]["renewal"],
        seconds=seconds,
    )


def _wait_revision(tenant: Tenant, name: str, revision: int, *, seconds: float = 60) -> dict[str, Any]:
    return tenant.cluster.wait_for(
        f"Certificate {name} has no revision {revision}",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, name),
        lambda found: found["status"].get("revision") == revision and not found["status"].get("order"),
        seconds=seconds,
    )
