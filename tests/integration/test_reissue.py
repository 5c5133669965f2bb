"""What is issued anew, when, and what stays meanwhile."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from harness.cluster import conditions
from testbed.options import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Tenant
    from harness.dns_front import DnsFront
    from testbed.parts.pebble import Pebble

WHOLE_SECOND: Final = dt.timedelta(seconds=1)
"""Certificates count in them."""


@pytest.mark.parametrize(("policy", "changes"), [("Always", True), ("Never", False)])
def test_the_rotation_policy_decides_about_the_key(tenant: Tenant, policy: str, *, changes: bool) -> None:
    tenant.apply("web", "rotation.example.test", privateKey={"rotationPolicy": policy})
    tenant.ready("web")
    first = tenant.cluster.secret_data(tenant.namespace, "web-tls")["tls.key"]
    names = ("rotation.example.test", "more.rotation.example.test")
    tenant.apply("web", *names, privateKey={"rotationPolicy": policy})
    found = tenant.ready("web")
    second = tenant.cluster.secret_data(tenant.namespace, "web-tls")["tls.key"]
    assert found["status"]["revision"] == 2
    assert (first != second) is changes
    assert load_pem_private_key(second, None).public_key() == tenant.leaf("web-tls").public_key()


def test_the_old_certificate_stays_until_the_one_for_the_new_names_is_there(
    tenant: Tenant, dns_front: DnsFront
) -> None:
    tenant.add_issuer("slow", dns_server=dns_front.address)
    tenant.apply("web", "stays.example.test", issuerRef={"name": "slow"})
    tenant.ready("web")
    before = tenant.cluster.secret_data(tenant.namespace, "web-tls")
    dns_front.hide("_acme-challenge.new.stays.example.test")
    tenant.apply("web", "stays.example.test", "new.stays.example.test", issuerRef={"name": "slow"})
    tenant.under_way("web")
    assert tenant.cluster.secret_data(tenant.namespace, "web-tls") == before
    dns_front.show()
    found = tenant.ready("web")
    assert found["status"]["revision"] == 2
    assert tenant.leaf("web-tls").serial_number != x509.load_pem_x509_certificate(before["tls.crt"]).serial_number


def test_another_issuer_means_another_certificate(tenant: Tenant, make_pebble: Callable[..., Pebble]) -> None:
    other = make_pebble()
    tenant.add_issuer("other", pebble=other)
    tenant.apply("web", "issuer.example.test")
    tenant.ready("web")
    before = tenant.leaf("web-tls")
    tenant.apply("web", "issuer.example.test", issuerRef={"name": "other"})
    found = tenant.ready("web")
    after = tenant.leaf("web-tls")
    assert found["status"]["revision"] == 2
    assert after.issuer != before.issuer
    assert other.certificate_status(after.serial_number)["Status"] == "Valid"


def test_another_ca_behind_the_same_issuer_means_another_certificate(
    tenant: Tenant, make_pebble: Callable[..., Pebble]
) -> None:
    other = make_pebble()
    tenant.add_issuer("ca")
    tenant.apply("web", "ca.example.test", issuerRef={"name": "ca"})
    tenant.ready("web")
    tenant.add_issuer("ca", pebble=other)
    tenant.cluster.wait_for(
        "the certificate is not from the other CA",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda found: found["status"]["revision"] == 2,
    )
    tenant.ready("web")
    assert other.certificate_status(tenant.leaf("web-tls").serial_number)["Status"] == "Valid"


def test_a_certificate_is_renewed_when_it_is_due_and_is_ready_throughout(
    tenant: Tenant, make_pebble: Callable[..., Pebble]
) -> None:
    # Due after 16 to 18 seconds, and good for two minutes, however long the renewal takes.
    brief = make_pebble(profiles={"default": Profile(validity_seconds=120)})
    tenant.add_issuer("brief", pebble=brief)
    tenant.apply("web", "renewal.example.test", issuerRef={"name": "brief"}, renewBeforePercentage=85)
    first, seen = tenant.ready("web")["status"], set()

    def renewed(found: dict[str, Any]) -> bool:
        seen.add(conditions(found)["Ready"]["status"])
        return bool(found["status"]["revision"] > 1)

    second = tenant.cluster.wait_for(
        "it is not renewed", lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"), renewed
    )["status"]
    assert seen == {"True"}
    assert dt.timedelta(seconds=15) <= life_until_renewal(first) <= dt.timedelta(seconds=18)
    assert instant(second["notBefore"]) >= instant(first["renewalTime"]) - WHOLE_SECOND
    assert brief.certificate_status(int(second["serialNumber"], 16))["Status"] == "Valid"
    tenant.cluster.delete("Certificate", tenant.namespace, "web")


def test_unasked_a_short_certificate_is_due_after_half_of_its_life_or_a_little_earlier(
    tenant: Tenant, make_pebble: Callable[..., Pebble]
) -> None:
    tenant.add_issuer("brief", pebble=make_pebble(profiles={"default": Profile(validity_seconds=3600)}))
    tenant.apply("web", "half.example.test", issuerRef={"name": "brief"})
    status = tenant.ready("web")["status"]
    assert dt.timedelta(minutes=27) - WHOLE_SECOND <= life_until_renewal(status) <= dt.timedelta(minutes=30)


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def life_until_renewal(status: dict[str, Any]) -> dt.timedelta:
    return instant(status["renewalTime"]) - instant(status["notBefore"])
