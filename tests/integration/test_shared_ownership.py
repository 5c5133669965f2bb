"""What another field manager wrote as well: a backup that was restored, or an object applied as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness import Tenant
    from harness.dns_front import DnsFront

FINALIZERS = ("metadata", "finalizers")


def restore(tenant: Tenant, kind: str, backup: dict[str, Any]) -> None:
    """Restore an object from a backup of the cluster, status and all, as a field manager of its own."""
    kept = {
        key: backup["metadata"][key]
        for key in ("name", "namespace", "finalizers", "labels", "annotations")
        if key in backup["metadata"]
    }
    body = {**backup, "kind": kind, "metadata": kept}
    how = ("--server-side", "--force-conflicts", "--field-manager=backup", "-f", "-")
    tenant.bed.kubectl("apply", *how, stdin=json.dumps(body))
    if "status" in body:
        tenant.bed.kubectl("apply", "--subresource=status", *how, stdin=json.dumps(body))


def under_way(tenant: Tenant, front: DnsFront) -> dict[str, Any]:
    name = f"www.{tenant.namespace}.{tenant.bed.bind.zones[0]}"
    front.hide(f"_acme-challenge.{name}")
    tenant.add_issuer("fronted", dns_server=front.address)
    tenant.apply("web", name, issuerRef={"name": "fronted"})
    tenant.under_way("web")
    return tenant.cluster.wait_for(
        "it is not held",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda found: bool(found["metadata"].get("finalizers")),
    )


def test_a_backup_applied_during_an_order_leaves_no_finalizer_and_no_order_behind(
    tenant: Tenant, dns_front: DnsFront
) -> None:
    backup = under_way(tenant, dns_front)
    restore(tenant, "Certificate", backup)
    dns_front.show()
    tenant.ready("web")
    done = tenant.cluster.wait_for(
        "something of the order is left",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, "web"),
        lambda found: not found["metadata"].get("finalizers") and "order" not in found["status"],
    )
    assert any(one["manager"] == "backup" for one in done["metadata"]["managedFields"])
    restore(tenant, "Certificate", backup)  # an old order, and a finalizer for what is long gone
    tenant.cluster.delete("Certificate", tenant.namespace, "web")
    tenant.cluster.wait_gone("Certificate", tenant.namespace, "web")


def test_a_template_that_is_taken_back_is_taken_out_of_a_secret_that_was_restored(tenant: Tenant) -> None:
    name = f"www.{tenant.namespace}.{tenant.bed.bind.zones[0]}"
    template = {"labels": {"team": "a", "tier": "b"}, "annotations": {"example.test/reload": "yes"}}
    tenant.apply("web", name, secretTemplate=template, secretOwnerReference=True)
    tenant.ready("web")
    secret = tenant.cluster.get("Secret", tenant.namespace, "web-tls")
    assert secret is not None
    owners = secret["metadata"]["ownerReferences"]
    restore(tenant, "Secret", secret)
    tenant.bed.kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=backup",
        "-f",
        "-",
        stdin=json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "web-tls",
                    "namespace": tenant.namespace,
                    "labels": {**template["labels"], "other": "kept"},
                    "annotations": template["annotations"],
                    "ownerReferences": owners,
                },
            }
        ),
    )
    tenant.apply("web", name, secretTemplate={"labels": {"tier": "b"}})
    found = tenant.cluster.wait_for(
        "the template's old entries are left",
        lambda: tenant.cluster.get("Secret", tenant.namespace, "web-tls"),
        lambda found: "team" not in found["metadata"]["labels"] and not found["metadata"].get("ownerReferences"),
    )
    assert "example.test/reload" not in found["metadata"]["annotations"]
    assert (found["metadata"]["labels"]["tier"], found["metadata"]["labels"]["other"]) == ("b", "kept")
    assert found["data"] == secret["data"]
