"""The options of the operator, from `certwright run`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from certwright.cert_manager.api import LEASE_NAMESPACE
from certwright.handlers.manager import WORKERS
from certwright.issuers.ambient import AmbientPolicy
from certwright.issuers.presenters import Http01Options
from certwright.kube.common_metadata import CommonMetadata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.handlers.election import Election
    from certwright.issuers.dns_webhook_serving import ServedWebhook
    from certwright.mirror.options import Options as MirrorOptions
    from certwright.shim.reconciler import Options as ShimOptions


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        operator_namespace: Where the Secrets of ClusterIssuers are.
        user_agent: For requests to CAs.
        namespaces: Namespaces to serve; empty for all of them.
        http_host: Address for the health and metrics endpoints.
        http_port: Their port; 0 picks a free one.
        workers: How many objects are looked at at once.
        http01: What http-01 solvers are made of; with a responder address the operator's own responder is started.
        served_webhooks: DNS webhooks whose serving certificates are made.
        ambient: Which issuers may use the credentials of the place where the operator runs.
        common: Labels and annotations for every object that is made.
        kubeconfig: A kubeconfig to use even in a pod; None for the service account there, ``KUBECONFIG`` elsewhere.
        election: For one of several replicas; None for an operator that runs alone.
        lease_name: Of the Lease in the operator's namespace, by which other releases see this one.
        identity: This process, in that Lease.
        shim: Which annotations of Ingresses and Gateways ask for Certificates; None for none at all.
        mirror: How the Certificates and issuers of cert-manager are served; None for not at all.
        cert_manager_namespace: Of the Lease of cert-manager's controller.
        guarded: Whether Secrets that its Certificates name are left to it while it runs.
    """

    operator_namespace: str
    user_agent: str
    namespaces: Sequence[str] = ()
    http_host: str = "127.0.0.1"
    http_port: int = 0
    workers: int = WORKERS
    http01: Http01Options = field(default_factory=Http01Options)
    served_webhooks: Sequence[ServedWebhook] = ()
    ambient: AmbientPolicy = field(default_factory=AmbientPolicy)
    common: CommonMetadata = field(default_factory=CommonMetadata)
    kubeconfig: str | None = None
    election: Election | None = None
    lease_name: str = "certwright"
    identity: str = ""
    shim: ShimOptions | None = None
    mirror: MirrorOptions | None = None
    cert_manager_namespace: str = LEASE_NAMESPACE
    guarded: bool = False
