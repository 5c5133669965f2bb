"""The Secret through its life: what the spec puts on it, whom it goes with, who else may have written it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from testbed.parts.pebble import NEW_ORDER

if TYPE_CHECKING:
    from harness import Tenant
    from testbed.proxy import RecordingProxy


def secret_where(tenant: Tenant, name: str, what: str, holds: Any) -> dict[str, Any]:
    return tenant.cluster.wait_for(what, lambda: tenant.cluster.get("Secret", tenant.namespace, name), holds)


def test_the_template_is_put_on_the_secret_and_changed_without_a_new_certificate(tenant: Tenant) -> None:
    tenant.apply(
        "web",
        "template.example.test",
        secretTemplate={"labels": {"team": "shop", "old": "yes"}, "annotations": {"reload": "true"}},
    )
    tenant.ready("web")
    serial = tenant.leaf("web-tls").serial_number
    metadata = (tenant.cluster.get("Secret", tenant.namespace, "web-tls") or {})["metadata"]
    assert {"team": "shop", "old": "yes"}.items() <= metadata["labels"].items()
    assert metadata["annotations"]["reload"] == "true"
    tenant.apply("web", "template.example.test", secretTemplate={"labels": {"team": "bakery"}})
    secret_where(
        tenant,
        "web-tls",
        "the Secret does not have the new labels, and only them",
        lambda found: (
            found["metadata"]["labels"].get("team") == "bakery"
            and "old" not in found["metadata"]["labels"]
            and "reload" not in found["metadata"]["annotations"]
        ),
    )
    found = tenant.ready("web")
    assert found["status"]["revision"] == 1
    assert tenant.leaf("web-tls").serial_number == serial


def test_labels_and_the_owner_that_somebody_takes_off_come_back_without_an_order(tenant: Tenant) -> None:
    template = {"labels": {"team": "shop"}, "annotations": {"reload": "true"}}
    tenant.apply("web", "stripped.example.test", secretTemplate=template, secretOwnerReference=True)
    tenant.ready("web")
    before = (tenant.cluster.get("Secret", tenant.namespace, "web-tls") or {})["metadata"]
    stripped = {"labels": {"team": None}, "annotations": {"reload": "false"}, "ownerReferences": []}
    tenant.cluster.patch("Secret", tenant.namespace, "web-tls", {"metadata": stripped})
    found = secret_where(
        tenant,
        "web-tls",
        "the Secret has not got its labels, annotations and owner back",
        lambda found: (
            found["metadata"]["labels"] == before["labels"]
            and found["metadata"]["annotations"] == before["annotations"]
            and found["metadata"].get("ownerReferences") == before["ownerReferences"]
        ),
    )
    assert found["metadata"]["uid"] == before["uid"]
    assert tenant.ready("web")["status"]["revision"] == 1


def test_the_secret_goes_with_its_certificate_only_if_it_is_owned(tenant: Tenant) -> None:
    tenant.apply("owned", "owned.example.test", secretOwnerReference=True)
    tenant.apply("free", "free.example.test")
    for name in ("owned", "free"):
        tenant.ready(name)
        tenant.cluster.delete("Certificate", tenant.namespace, name)
    # The garbage collector looks for new kinds of owners every 30 s.
    tenant.cluster.wait_gone("Secret", tenant.namespace, "owned-tls")
    assert "tls.crt" in tenant.cluster.secret_data(tenant.namespace, "free-tls")


def test_a_secret_that_is_deleted_right_after_it_was_written_comes_back_without_an_order(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    tenant.apply("web", "deleted.example.test", issuerRef={"name": "counted"})
    tenant.ready("web")
    data = tenant.cluster.secret_data(tenant.namespace, "web-tls")
    # What deletes it does so whenever it is there.
    for _ in range(3):
        tenant.cluster.delete("Secret", tenant.namespace, "web-tls")
        secret_where(tenant, "web-tls", "the Secret is not back", lambda found: bool(found["data"]["tls.crt"]))
    assert tenant.cluster.secret_data(tenant.namespace, "web-tls") == data
    found = tenant.ready("web")
    assert found["status"]["revision"] == 1
    assert len(found["status"]["recentOrders"]) == 1
    assert counted_ca.counts()[NEW_ORDER] == 1
    wait_event(tenant, "web", "SecretContested")


def test_a_private_key_that_somebody_damages_is_replaced_and_the_culprit_named(tenant: Tenant) -> None:
    tenant.apply("web", "damaged.example.test")
    tenant.ready("web")
    before = tenant.cluster.secret_data(tenant.namespace, "web-tls")
    nonsense = base64.b64encode(b"nonsense").decode()
    tenant.cluster.patch("Secret", tenant.namespace, "web-tls", {"data": {"tls.key": nonsense}})
    secret_where(
        tenant, "web-tls", "the private key is not put right", lambda found: found["data"]["tls.key"] != nonsense
    )
    assert tenant.cluster.secret_data(tenant.namespace, "web-tls") == before
    message = wait_event(tenant, "web", "SecretRestored")["message"]
    assert "the private key cannot be read" in message
    assert "Other field managers of it: " in message


def test_labels_that_somebody_else_puts_on_the_secret_stay(tenant: Tenant) -> None:
    tenant.apply("web", "labels.example.test")
    tenant.ready("web")
    tenant.cluster.patch("Secret", tenant.namespace, "web-tls", {"metadata": {"labels": {"theirs": "yes"}}})
    tenant.apply("web", "labels.example.test", "more.labels.example.test")
    wait_revision(tenant, "web", 2)
    found = tenant.cluster.get("Secret", tenant.namespace, "web-tls") or {}
    assert found["metadata"]["labels"]["theirs"] == "yes"


def test_a_secret_with_the_right_certificate_is_adopted_and_not_issued_anew(
    tenant: Tenant, counted_ca: RecordingProxy
) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    tenant.apply("first", "adopted.example.test", issuerRef={"name": "counted"})
    tenant.ready("first")
    data = (tenant.cluster.get("Secret", tenant.namespace, "first-tls") or {})["data"]
    serial = tenant.leaf("first-tls").serial_number
    tenant.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"namespace": tenant.namespace, "name": "second-tls"},
            "data": data,
        }
    )
    tenant.apply("second", "adopted.example.test", issuerRef={"name": "counted"})
    found = tenant.ready("second")
    assert found["status"]["revision"] == 0
    assert int(found["status"]["serialNumber"], 16) == serial
    assert tenant.leaf("second-tls").serial_number == serial
    assert counted_ca.counts()[NEW_ORDER] == 1
    assert "Adopted" in {event["reason"] for event in tenant.cluster.events(tenant.namespace, "second")}


def test_a_certificate_of_another_ca_than_the_issuers_is_replaced(tenant: Tenant, counted_ca: RecordingProxy) -> None:
    tenant.add_issuer("counted", server=counted_ca.directory_url)
    tenant.apply("first", "first.example.test", issuerRef={"name": "counted"})
    tenant.apply("stranger", "second.example.test")
    for name in ("first", "stranger"):
        tenant.ready(name)
    ours, strange = tenant.leaf("first-tls"), tenant.leaf("stranger-tls")
    assert ours.issuer != strange.issuer
    tenant.cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"namespace": tenant.namespace, "name": "second-tls"},
            "data": (tenant.cluster.get("Secret", tenant.namespace, "stranger-tls") or {})["data"],
        }
    )
    tenant.apply("second", "second.example.test", issuerRef={"name": "counted"})
    found = tenant.ready("second")
    assert found["status"]["revision"] == 1
    assert tenant.leaf("second-tls").issuer == ours.issuer
    message = wait_event(tenant, "second", "Issuing")["message"]
    assert "NotFromIssuer" in message
    assert strange.issuer.rfc4514_string() in message
    assert counted_ca.counts()[NEW_ORDER] == 2


def wait_event(tenant: Tenant, name: str, reason: str) -> dict[str, Any]:
    return tenant.cluster.wait_for(
        f"no Event {reason} about Certificate {name}",
        lambda: next((one for one in tenant.cluster.events(tenant.namespace, name) if one["reason"] == reason), None),
        lambda _: True,
    )


def wait_revision(tenant: Tenant, name: str, revision: int) -> dict[str, Any]:
    tenant.cluster.wait_for(
        f"Certificate {name} has no revision {revision}",
        lambda: tenant.cluster.get("Certificate", tenant.namespace, name),
        lambda found: found["status"].get("revision") == revision,
    )
    return tenant.ready(name)
