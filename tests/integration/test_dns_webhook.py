"""DNS webhooks: one on cert-manager's own Go module, behind the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness import OperatorProcess
from harness.manifests import TSIG_SECRET
from testbed.certificates import KeyPair
from testbed.parts.dns_webhook import webhook_objects
from testbed.parts.pebble import DISCARD_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Cluster, Tenant
    from testbed.bed import TestBed
    from testbed.parts.dns_webhook import DnsWebhook

GROUP, SOLVER = "acme.bed.test", "bed-dns"
SERVICE, SECRET = ("dns-webhook", "bed-webhook"), "bed-webhook-tls"
HESITATION = 150
"""Milliseconds between reading the values at a name and writing them: two calls at the same time would lose one."""


@pytest.fixture(scope="module")
def session_operator(
    bed: TestBed,
    cluster: Cluster,
    operator_namespace: str,
    tmp_path_factory: pytest.TempPathFactory,
    without_operator: None,  # noqa: ARG001 - only one may serve the namespaces
) -> Iterator[OperatorProcess]:
    """One that makes the webhook's certificate, as soon as it leads: its APIService is there."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVICE[0]}})
    bed.apply(*webhook_objects(GROUP, SERVICE, DISCARD_PORT))
    serving = f"--dns-webhook-serving={GROUP}={'/'.join(SERVICE)}/{SECRET}"
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    with OperatorProcess(bed.kubeconfig, log, operator_namespace=operator_namespace, arguments=(serving,)) as running:
        yield running
    bed.kubectl("delete", "apiservice", f"v1alpha1.{GROUP}")


@pytest.fixture(scope="module")
def dns_webhook(
    bed: TestBed, cluster: Cluster, session_operator: OperatorProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DnsWebhook]:
    assert session_operator.running
    cluster.wait_for(
        "the operator makes no certificate for the webhook",
        lambda: cluster.get("Secret", SERVICE[0], SECRET),
        bool,
    )
    mounted = tmp_path_factory.mktemp("webhook")
    for entry, content in cluster.secret_data(SERVICE[0], SECRET).items():
        (mounted / entry).write_bytes(content)
    pair = KeyPair(mounted / "tls.crt", mounted / "tls.key")
    started = bed.start_dns_webhook(group=GROUP, solver=SOLVER, service=SERVICE, serving=pair)
    # As a later `kubectl apply` of the chart: the bundle, which it does not have, stays.
    bed.apply(*started.objects)
    bed.kubectl("wait", "--for=condition=Available", "--timeout=60s", f"apiservice/v1alpha1.{GROUP}")
    yield started
    bed.end_dns_webhook()


def add_issuer(tenant: Tenant, *, solver: str = SOLVER, group: str = GROUP, **config: Any) -> None:
    key_name, _ = tenant.bed.bind.main_key
    asked = tenant.bed.bind.address
    settings = {"server": asked, "tsigKeyName": key_name, "tsigSecretRef": {"name": TSIG_SECRET, "key": "secret"}}
    webhook = {"groupName": group, "solverName": solver, "config": {**settings, **config}}
    looked = {"nameservers": [asked], "authoritativeNameservers": [asked]}
    tenant.add_issuer("hooked", solvers=[{"dns01": {**looked, "webhook": webhook}}])


def test_a_webhook_written_for_cert_manager_validates_names_and_their_wildcards(
    tenant: Tenant, dns_webhook: DnsWebhook
) -> None:
    """Two Certificates want four values at one name, and the webhook reads, waits and writes."""
    assert dns_webhook.running
    add_issuer(tenant, hesitation=HESITATION)
    name = f"{tenant.namespace}.example.test"
    tenant.bed.bind.change("example.test", "add", f"_acme-challenge.{tenant.namespace}", 1, "TXT", "foreign")
    for one in ("web", "twin"):
        tenant.apply(one, name, f"*.{name}", f"{one}.{name}", issuerRef={"name": "hooked"})
    for one in ("web", "twin"):
        tenant.ready(one)
        # The finalizer goes when nothing of the Certificate is in the DNS any more.
        tenant.cluster.wait_for(
            "records are left behind",
            lambda one=one: tenant.cluster.get("Certificate", tenant.namespace, one),  # type: ignore[misc]  # a default
            lambda found: not found["metadata"].get("finalizers"),
        )
    assert tenant.challenge_values(f"_acme-challenge.{name}") == ["foreign"]
    for one in ("web", "twin"):
        assert tenant.challenge_values(f"_acme-challenge.{one}.{name}") == []


def test_what_the_webhook_says_is_told_and_a_corrected_issuer_goes_on(tenant: Tenant, dns_webhook: DnsWebhook) -> None:
    assert dns_webhook.running
    add_issuer(tenant, refusal="the plan of zone example.test is read-only, see https://dns.example/?token=s3cret")
    tenant.apply("web", f"{tenant.namespace}.example.test", issuerRef={"name": "hooked"})
    told = tenant.not_ready("web", "DNSProviderRefused")
    assert f"webhook {SOLVER}.{GROUP} did not do it: the plan of zone example.test is read-only" in told["message"]
    assert "s3cret" not in told["message"]
    add_issuer(tenant)
    tenant.ready("web")


def test_a_webhook_that_is_down_is_told_and_the_order_goes_on_when_it_is_up(
    tenant: Tenant, dns_webhook: DnsWebhook
) -> None:
    add_issuer(tenant)
    dns_webhook.stop()
    try:
        tenant.apply("web", f"{tenant.namespace}.example.test", issuerRef={"name": "hooked"})
        told = tenant.not_ready("web", "DNSProviderUnreachable")
    finally:
        dns_webhook.start()
    assert f"DNS webhook {SOLVER}.{GROUP} cannot be reached by the API server" in told["message"]
    tenant.ready("web", seconds=90)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"solver": "other"}, f"the DNS webhook {GROUP} has no solver other; it has {SOLVER}"),
        ({"group": "acme.nowhere.test"}, "the cluster has no DNS webhook acme.nowhere.test: there is no APIService"),
    ],
)
def test_a_webhook_that_is_none_is_told(
    tenant: Tenant, dns_webhook: DnsWebhook, wrong: dict[str, str], said: str
) -> None:
    assert dns_webhook.running
    add_issuer(tenant, **wrong)
    tenant.apply("web", f"{tenant.namespace}.example.test", issuerRef={"name": "hooked"})
    assert said[1:] in tenant.not_ready("web", "DNSProviderRefused")["message"]
