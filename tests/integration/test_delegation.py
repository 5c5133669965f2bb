"""Where a CNAME leads the records that a ClusterIssuer's key writes."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from harness import issuer, tsig_secret
from harness.dns_front import DnsFront

if TYPE_CHECKING:
    from collections.abc import Callable

    import dns.update

    from harness import Tenant
    from testbed.parts.pebble import Pebble


def test_a_cname_leads_a_cluster_issuers_records_nowhere_that_it_does_not_allow(
    tenant: Tenant, operator_namespace: str, dns_front: DnsFront, make_pebble: Callable[..., Pebble]
) -> None:
    bed, cluster, shared = tenant.bed, tenant.cluster, f"shared-{secrets.token_hex(4)}"
    label, place = f"_acme-challenge.{tenant.namespace}", f"{tenant.namespace}.acme.delegated.test"
    bed.bind.change("example.test", "add", label, 1, "CNAME", f"{place}.")
    updated: list[str] = []

    def note(message: dns.update.UpdateMessage) -> None:
        updated.extend(one.name.to_text(omit_final_dot=True) for one in message.update)

    cluster.apply(tsig_secret(bed, operator_namespace, name=f"{shared}-tsig"))
    with DnsFront(bed.bind, follow_cnames=True) as resolver:
        dns_front.on_update = note
        pebble = make_pebble(dns_server=resolver.address)
        body = issuer(bed, None, name=shared, pebble=pebble, dns_server=dns_front.address, tsig=f"{shared}-tsig")
        cluster.apply(body)
        try:
            reference = {"name": shared, "kind": "ClusterIssuer"}
            tenant.apply("led", f"{tenant.namespace}.example.test", issuerRef=reference)
            message = tenant.not_ready("led", "CNAMENotAllowed")["message"]
            assert f"{label}.example.test is a CNAME that points to another domain, {place}, " in message
            assert "allowedTargets" in message
            found = cluster.get("Certificate", tenant.namespace, "led") or {}
            assert "order" not in found["status"], json.dumps(found["status"])
            assert updated == []
            [solver] = body["spec"]["acme"]["solvers"]
            solver["dns01"]["allowedTargets"] = ["acme.delegated.test"]
            cluster.apply(body)
            tenant.ready("led")
            assert set(updated) == {place}
        finally:
            cluster.delete("ClusterIssuer", None, shared)
            bed.bind.change("example.test", "delete", label)
