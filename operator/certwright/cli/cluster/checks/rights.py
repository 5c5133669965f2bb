"""Permissions: the user's for these commands, and the operator's for its work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from certwright.cli.cluster.checks.result import Level, Result
from certwright.cli.cluster.views import at
from certwright.kube.errors import Forbidden, KubeError
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.cli.cluster.checks.operator import Operator
    from certwright.cli.cluster.connection import Session

AUTHORIZATION: Final = "authorization.k8s.io/v1"
AT_ONCE: Final = 8


class Right(NamedTuple):
    """A right.

    Attributes:
        group: The API group; empty for the core.
        resource: The resource, with its subresource: `certificates/status`.
        verbs: What may be done.
        purpose: What it is for.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    purpose: str


OURS: Final = "certwright.io"
YOURS: Final = (
    Right(OURS, "certificates", ("get", "list"), "status, explain"),
    Right(OURS, "certificates", ("patch",), "renew, revoke, rollback, pause, resume"),
    Right(OURS, "issuers", ("get",), "explain"),
    Right("", "events", ("list",), "explain, status NAME"),
)
SERVED: Final = (
    Right(OURS, "certificates", ("get", "list", "watch", "patch"), "reading Certificates, the finalizer, requests"),
    Right(OURS, "issuers", ("get", "list", "watch", "patch"), "reading issuers, the finalizer"),
    Right(OURS, "certificates/status", ("patch",), "reporting"),
    Right(OURS, "issuers/status", ("patch",), "reporting"),
    Right("", "secrets", ("get", "list", "watch", "create", "patch", "delete"), "certificates and keys"),
    Right("", "namespaces", ("get",), "rules of ClusterIssuers"),
    Right("", "events", ("create",), "Events"),
)
"""In each namespace that the operator serves; docs/operating.md has the same table."""
HTTP01: Final = (
    Right("", "pods", ("get", "create", "delete", "deletecollection"), "HTTP-01"),
    Right("", "services", ("create", "patch", "deletecollection"), "HTTP-01"),
    Right("discovery.k8s.io", "endpointslices", ("create", "patch", "deletecollection"), "HTTP-01, shared responder"),
    Right("networking.k8s.io", "ingresses", ("get", "create", "patch", "deletecollection"), "HTTP-01"),
    Right("gateway.networking.k8s.io", "httproutes", ("get", "create", "patch", "deletecollection"), "HTTP-01"),
)
"""The same, for HTTP-01 only: the chart value http01.enabled."""
TLS_ALPN01: Final = (
    Right("gateway.networking.k8s.io", "tlsroutes", ("get", "create", "patch", "deletecollection"), "TLS-ALPN-01"),
)
"""The same, for TLS-ALPN-01 only: the chart value tlsAlpn01.enabled."""
SHIM: Final = (
    Right(OURS, "certificates", ("create", "delete"), "annotated Ingresses and Gateways"),
    Right("networking.k8s.io", "ingresses", ("get", "list", "watch"), "annotated Ingresses"),
    Right("gateway.networking.k8s.io", "gateways", ("get", "list", "watch"), "annotated Gateways"),
    Right("gateway.networking.k8s.io", "listenersets", ("get", "list", "watch"), "annotated ListenerSets"),
    Right("gateway.networking.k8s.io", "httproutes", ("list", "watch"), "names of annotated Gateways by routes"),
    Right("gateway.networking.x-k8s.io", "xlistenersets", ("get", "list", "watch"), "annotated XListenerSets"),
)
"""The same, for annotated Ingresses and Gateways only: the chart value shim.enabled."""
THEIRS: Final = "cert-manager.io"
MIRROR: Final = (
    Right(THEIRS, "certificates", ("list", "watch"), "Certificates of cert-manager"),
    Right(THEIRS, "issuers", ("list", "watch"), "Issuers of cert-manager"),
    Right(THEIRS, "certificates/status", ("patch",), "the status of Certificates of cert-manager"),
    Right(THEIRS, "issuers/status", ("patch",), "the status of Issuers of cert-manager"),
    Right(OURS, "certificates", ("create",), "Certificates of cert-manager"),
    Right(OURS, "issuers", ("create",), "Issuers of cert-manager"),
)
"""The same, for objects of cert-manager only: the chart value certManager.serveObjects.enabled."""
MIRROR_CLUSTER: Final = (
    Right(THEIRS, "clusterissuers", ("list", "watch"), "ClusterIssuers of cert-manager"),
    Right(THEIRS, "clusterissuers/status", ("patch",), "the status of ClusterIssuers of cert-manager"),
    Right(OURS, "clusterissuers", ("create",), "ClusterIssuers of cert-manager"),
)
"""The same in the cluster."""
GUARD: Final = (Right("cert-manager.io", "certificates", ("list", "watch"), "leaving Secrets to cert-manager"),)
"""The same, beside cert-manager only: the chart value certManager.guard."""
CLUSTER: Final = (
    Right(OURS, "clusterissuers", ("get", "list", "watch", "patch"), "reading ClusterIssuers, the finalizer"),
    Right(OURS, "clusterissuers/status", ("patch",), "reporting"),
    Right("apiextensions.k8s.io", "customresourcedefinitions", ("list", "watch"), "noticing CRDs"),
    Right("coordination.k8s.io", "leases", ("list",), "noticing other releases and cert-manager"),
)


async def check_yours(connected: Session) -> list[Result]:
    """Tell what you may do with these commands in the namespace."""
    return await _check_all(
        "your rights",
        YOURS,
        lambda attributes: _self(connected, attributes),
        namespace=connected.namespace,
        level="warn",
    )


async def check_operators(connected: Session, operator: Operator) -> list[Result]:
    """Tell whether the operator's service account has the rights that it needs in the namespace and in the cluster."""
    user = f"system:serviceaccount:{operator.namespace}:{operator.service_account}"

    async def ask(attributes: Mapping[str, Any]) -> bool:
        groups = [f"system:serviceaccounts:{operator.namespace}", "system:serviceaccounts", "system:authenticated"]
        spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
        return at(await connected.review(AUTHORIZATION, "SubjectAccessReview", spec), "status", "allowed") is True

    what = f"rights of {operator.namespace}/{operator.service_account}"
    needed: Level = "fail" if operator.is_known else "warn"
    try:
        served = await _check_all(what, SERVED, ask, namespace=connected.namespace, level=needed)
        challenges = [
            *await _check_all(f"{what}, HTTP-01", HTTP01, ask, namespace=connected.namespace, level="warn"),
            *await _check_all(f"{what}, TLS-ALPN-01", TLS_ALPN01, ask, namespace=connected.namespace, level="warn"),
            *await _check_all(f"{what}, shim", SHIM, ask, namespace=connected.namespace, level="warn"),
            *await _check_all(f"{what}, guard", GUARD, ask, namespace=connected.namespace, level="warn"),
        ]
        cluster = await _check_all(f"{what}, cluster", CLUSTER, ask, namespace=None, level=needed)
        if operator.serves_cert_manager:
            theirs = f"{what}, objects of cert-manager"
            challenges += await _check_all(theirs, MIRROR, ask, namespace=connected.namespace, level=needed)
            cluster += await _check_all(f"{theirs}, cluster", MIRROR_CLUSTER, ask, namespace=None, level=needed)
    except Forbidden:
        return [Result("warn", what, "you may not create SubjectAccessReviews: not checked")]
    return [*served, *challenges, *cluster]


async def _self(connected: Session, attributes: Mapping[str, Any]) -> bool:
    answer = await connected.review(AUTHORIZATION, "SelfSubjectAccessReview", {"resourceAttributes": attributes})
    return at(answer, "status", "allowed") is True


async def _check_all(
    what: str, rights: Iterable[Right], ask: Any, *, namespace: str | None, level: Level
) -> list[Result]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def allowed(right: Right, verb: str) -> bool:
        resource, _, subresource = right.resource.partition("/")
        attributes = {
            "group": right.group,
            "resource": resource,
            "verb": verb,
            **({"subresource": subresource} if subresource else {}),
            **({"namespace": namespace} if namespace else {}),
        }
        async with limit:
            return bool(await ask(attributes))

    wanted = [(right, verb) for right in rights for verb in right.verbs]
    try:
        answers = await asyncio.gather(*(allowed(right, verb) for right, verb in wanted))
    except Forbidden:
        raise
    except KubeError as error:
        return [Result("warn", what, f"cannot be checked: {error}")]
    missing: dict[Right, list[str]] = {}
    for (right, verb), yes in zip(wanted, answers, strict=True):
        if not yes:
            missing.setdefault(right, []).append(verb)
    where = f"in {namespace}" if namespace else "in the cluster"
    if missing:
        told = [f"{' '.join(verbs)} {right.resource} (for {right.purpose})" for right, verbs in missing.items()]
        return [Result(level, what, f"missing {where}: {listed(told, most=6)}")]
    return [Result("pass", what, f"complete {where}")]
