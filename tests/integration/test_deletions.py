"""What is deleted while the operator is not looking, or in the middle of something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from testbed.options import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Tenant
    from harness.dns_front import DnsFront
    from testbed.parts.pebble import Pebble


def test_what_was_deleted_while_the_operator_was_down_is_revoked_if_its_key_is_left(
    tenant: Tenant, make_pebble: Callable[..., Pebble]
) -> None:
    ca = make_pebble()
    tenant.add_issuer("ca", pebble=ca)
    settings: dict[str, dict[str, Any]] = {"kept": {"revisionHistoryLimit": 2}, "lost": {}, "there": {}}
    serials: dict[str, int] = {}
    for name, more in settings.items():
        domain = f"{name}.{tenant.namespace}.example.test"
        tenant.apply(name, domain, issuerRef={"name": "ca"}, revokeOnDelete=True, **more)
    for name in settings:
        tenant.ready(name)
        serials[name] = tenant.leaf(f"{name}-tls").serial_number
        tenant.cluster.wait_for(
            f"{name} is not held, or its revision is not kept",
            lambda: tenant.cluster.get("Certificate", tenant.namespace, name),  # noqa: B023 - waited for here
            lambda found: (
                bool(found["metadata"].get("finalizers"))
                and len(found["status"].get("revisions", ())) == (name == "kept")  # noqa: B023
            ),
        )
    tenant.operator.stop()
    for name in ("kept", "lost"):
        tenant.cluster.delete("Secret", tenant.namespace, f"{name}-tls")
    for name in settings:
        tenant.cluster.delete("Certificate", tenant.namespace, name)
    tenant.operator.start()
    for name in settings:
        tenant.cluster.wait_gone("Certificate", tenant.namespace, name)
    # Pebble takes no serial numbers that DER begins with a zero octet.
    said = {
        name: ca.certificate_status(serial)["Status"] for name, serial in serials.items() if serial.bit_length() % 8
    }
    expected = {"kept": "Revoked", "lost": "Valid", "there": "Revoked"}
    assert said == {name: expected[name] for name in said}
    [told] = [event for event in tenant.cluster.events(tenant.namespace, "lost") if event["reason"] == "NotRevoked"]
    assert "Its Secret was deleted before." in told["message"]


def test_a_certificate_that_is_deleted_during_a_rehearsal_goes_and_nothing_is_left(
    tenant: Tenant, make_pebble: Callable[..., Pebble], dns_front: DnsFront
) -> None:
    real = make_pebble(profiles={"short": Profile("less than two minutes", 80)})
    tenant.add_issuer("real", pebble=real, profile="short")
    tenant.add_issuer("trial", dns_server=dns_front.address)
    domain = f"{tenant.namespace}.example.test"
    dns_front.hide(f"_acme-challenge.{domain}")
    rehearse = {"rehearse": {"issuerRef": {"name": "trial"}, "before": "1h"}}
    tenant.apply("web", domain, issuerRef={"name": "real"}, renewal=rehearse)
    tenant.ready("web")
    found = tenant.under_way("web")
    assert found["status"]["order"]["issuer"]["name"] == "trial"
    assert found["status"]["renewal"]["rehearsal"]["state"] == "Running"
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    assert tenant.challenge_values(f"_acme-challenge.{domain}") == []
    kept = {one["metadata"]["name"] for one in tenant.cluster.find_all("Secret", tenant.namespace)}
    assert not [name for name in kept if name.startswith("certwright-")]
    reasons = {event["reason"] for event in tenant.cluster.events(tenant.namespace, "web")}
    assert not reasons & {"LeftBehind", "RehearsalFailed"}


def test_an_issuer_that_is_deleted_during_an_order_is_waited_for_and_the_order_goes_on(
    tenant: Tenant, dns_front: DnsFront
) -> None:
    tenant.add_issuer("going", dns_server=dns_front.address)
    domain = f"{tenant.namespace}.example.test"
    dns_front.hide(f"_acme-challenge.{domain}")
    tenant.apply("web", domain, issuerRef={"name": "going"})
    before = tenant.under_way("web")["status"]["order"]["url"]
    tenant.cluster.delete("Issuer", tenant.namespace, "going")
    message = tenant.not_ready("web", "IssuerNotFound")["message"]
    assert f"Issuer {tenant.namespace}/going does not exist" in message
    tenant.add_issuer("going", dns_server=dns_front.address)
    assert tenant.under_way("web")["status"]["order"]["url"] == before, "the account is found by its key"
    dns_front.show(f"_acme-challenge.{domain}")
    tenant.ready("web")
    assert tenant.challenge_values(f"_acme-challenge.{domain}") == []


def test_records_of_an_order_are_removed_though_the_issuer_is_deleted_before_the_certificate(
    tenant: Tenant, dns_front: DnsFront
) -> None:
    tenant.add_issuer("going", dns_server=dns_front.address, deactivateOnDelete=True)
    domain = f"{tenant.namespace}.example.test"
    dns_front.hide(f"_acme-challenge.{domain}")
    tenant.apply("web", domain, issuerRef={"name": "going"})
    tenant.under_way("web")
    tenant.cluster.delete("Issuer", tenant.namespace, "going")
    tenant.cluster.wait_gone("Issuer", tenant.namespace, "going")
    tenant.not_ready("web", "IssuerNotFound")
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_for(
        "its records are still in the DNS",
        lambda: {"values": tenant.challenge_values(f"_acme-challenge.{domain}")},
        lambda found: not found["values"],
    )
