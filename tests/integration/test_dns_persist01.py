"""dns-persist-01 as a solver of Issuers: records that are published once and used by every issuance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from certwright.acme import dns_persist01_name
from harness import issuer
from harness.mistakes import wait_event

if TYPE_CHECKING:
    from collections.abc import Callable

    import dns.update

    from harness import Cluster, Tenant
    from harness.dns_front import DnsFront
    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble


def persistent(bed: TestBed, namespace: str, *, provider: bool, **settings: Any) -> dict[str, Any]:
    body = issuer(bed, namespace, name="lasting", **settings)
    [solver] = body["spec"]["acme"]["solvers"]
    solver["dns01"]["challengeType"] = "dns-persist-01"
    if not provider:
        del solver["dns01"]["rfc2136"]
    return body


def records(cluster: Cluster, namespace: str) -> dict[str, dict[str, Any]]:
    found = cluster.get("Issuer", namespace, "lasting") or {}
    return {one["value"]: one for one in found["status"].get("persistentRecords", ())}


def condition(cluster: Cluster, namespace: str, status: str, reason: str) -> str:
    found = cluster.wait_condition(
        "Issuer", namespace, "lasting", "RecordsPublished", status, reason=reason, seconds=60
    )
    return next(str(one["message"]) for one in found["status"]["conditions"] if one["type"] == "RecordsPublished")


def test_without_a_provider_the_record_to_publish_is_told_and_no_order_is_placed_before_it_is_there(
    tenant: Tenant, bed: TestBed, cluster: Cluster, make_pebble: Callable[..., Pebble]
) -> None:
    space, name = tenant.namespace, f"{tenant.namespace}.example.test"
    pebble = make_pebble(authz_reuse_percent=0)
    cluster.apply(persistent(bed, space, provider=False, pebble=pebble))
    uri = cluster.wait_ready("Issuer", space, "lasting")["status"]["acme"]["uri"]
    tenant.apply("by-hand", name, f"*.{name}", issuerRef={"name": "lasting"})
    value = f"pebble.test; accounturi={uri}; policy=wildcard"
    message = tenant.not_ready("by-hand", "PersistentRecordMissing")["message"]
    assert (
        f'Publish these permanent records, which then serve every renewal: {dns_persist01_name(name)} TXT "{value}"'
        in message
    )
    found = cluster.get("Certificate", space, "by-hand") or {}
    assert "order" not in found["status"]
    assert f'{dns_persist01_name(name)} TXT "{value}"' in condition(cluster, space, "False", "PersistentRecordMissing")
    [shown] = records(cluster, space).values()
    assert (shown["domain"], shown["value"], shown["state"], shown.get("written", False)) == (
        name,
        value,
        "Missing",
        False,
    )
    label = f"_validation-persist.{space}"
    bed.bind.change("example.test", "add", label, 1, "TXT", f'"{value}"')
    try:
        tenant.ready("by-hand", seconds=60)
        condition(cluster, space, "True", "PersistentRecordsPublished")
        found = cluster.get("Certificate", space, "by-hand") or {}
        assert found["metadata"].get("finalizers", []) == []
        assert tenant.challenge_values(dns_persist01_name(name)) == [value]
    finally:
        bed.bind.change("example.test", "delete", label)


def test_a_provider_writes_the_record_once_beside_others_and_renewals_change_nothing(
    tenant: Tenant, bed: TestBed, cluster: Cluster, dns_front: DnsFront, make_pebble: Callable[..., Pebble]
) -> None:
    space, name = tenant.namespace, f"{tenant.namespace}.example.test"
    owner, label, other = (
        dns_persist01_name(name),
        f"_validation-persist.{space}",
        "ca.example; accounturi=https://ca.example/1",
    )
    bed.bind.change("example.test", "add", label, 1, "TXT", f'"{other}"')
    updates: list[str] = []

    def note(message: dns.update.UpdateMessage) -> None:
        updates.extend(one.name.to_text(omit_final_dot=True) for one in message.update)

    dns_front.on_update = note
    pebble = make_pebble(authz_reuse_percent=0)
    cluster.apply(persistent(bed, space, provider=True, pebble=pebble, dns_server=dns_front.address))
    cluster.wait_ready("Issuer", space, "lasting")
    tenant.apply("lasting", name, issuerRef={"name": "lasting"})
    try:
        tenant.ready("lasting", seconds=60)
        condition(cluster, space, "True", "PersistentRecordsPublished")
        [written] = [one for one in records(cluster, space).values() if one.get("written")]
        assert sorted(tenant.challenge_values(owner)) == sorted([other, written["value"]])
        assert set(updates) == {owner}
        serial = tenant.leaf("lasting-tls").serial_number
        updates.clear()
        cluster.delete("Secret", space, "lasting-tls")
        cluster.patch("Certificate", space, "lasting", {"spec": {"privateKey": {"algorithm": "ECDSA", "size": 384}}})
        cluster.wait_for(
            "no other certificate was issued",
            lambda: cluster.get("Secret", space, "lasting-tls"),
            lambda _: tenant.leaf("lasting-tls").serial_number != serial,
        )
        tenant.ready("lasting", seconds=60)
        assert updates == []
        # A new account: its record takes the place of the one that the operator has written, and of no other.
        cluster.delete("Secret", space, "lasting-account")
        cluster.patch("Issuer", space, "lasting", {"spec": {"acme": {"email": "other@example.test"}}})
        cluster.wait_for(
            "the record of the new account is not there, or that of the old one still is",
            lambda: {"values": tenant.challenge_values(owner)},
            lambda seen: (
                len(seen["values"]) == 2 and written["value"] not in seen["values"] and other in seen["values"]
            ),
            seconds=60,
        )
        wait_event(cluster, space, "lasting", "PersistentRecordsChanged")
    finally:
        bed.bind.change("example.test", "delete", label)
