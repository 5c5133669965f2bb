"""The solver pod and the Service in front of it, as whole manifests for one write each."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from certwright.challenges.responder import HEALTH
from certwright.http01.program import ANSWERS_VARIABLE, PORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.challenges.response import FileResponse
    from certwright.http01.settings import Owner, PodSettings, SharedSettings

Manifest = dict[str, Any]

NAME_LABEL: Final = "certwright.io/http01-name"
RESOURCES: Final = {
    "requests": {"cpu": "5m", "memory": "24Mi"},
    "limits": {"cpu": "250m", "memory": "64Mi"},
}
POD_SECURITY: Final = {
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the Pod Security level `restricted` asks of a pod.

No user: the image names one, and where a namespace gives each pod its own range (OpenShift), another would be refused.
"""
CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_ANNOTATIONS: Final = {
    "sidecar.istio.io/inject": "false",
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
}
"""A sidecar would need more than the level `restricted` allows, and a pod that is made again need not hold a node."""
PROBE: Final = {
    "httpGet": {"path": HEALTH, "port": "http"},
    "periodSeconds": 1,
    "timeoutSeconds": 2,
    "failureThreshold": 3,
}
"""Without one a pod counts as ready before it listens, and load balancers that look at pods find nothing to look at."""
_AS_THEY_ARE: Final = ("tolerations", "affinity", "priorityClassName", "serviceAccountName", "imagePullSecrets")


def metadata(
    owner: Owner, name: str, *, labels: Mapping[str, str] | None = None, annotations: Mapping[str, str] | None = None
) -> Manifest:
    """Return the metadata of an object of ours; what the issuer's templates say never replaces what we need in it."""
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": {**(labels or {}), **owner.labels, NAME_LABEL: name},
        "ownerReferences": [dict(owner.reference)],
        **({"annotations": dict(annotations)} if annotations else {}),
    }


def pod(owner: Owner, name: str, files: Iterable[FileResponse], settings: PodSettings) -> Manifest:
    """Return the pod that answers for all files of an order.

    Args:
        owner: The Certificate.
        name: Of the pod.
        files: What it answers.
        settings: Its image and the template from the issuer.
    """
    template = settings.template
    wanted: Mapping[str, Any] = template.get("spec") or {}
    extra: Mapping[str, Any] = template.get("metadata") or {}
    annotations = {**(extra.get("annotations") or {}), **POD_ANNOTATIONS}
    answers = "\n".join(f"{file.host} {file.key_authorization}" for file in sorted(files))
    spec: Manifest = {
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 2,
        "nodeSelector": {"kubernetes.io/os": "linux", **(wanted.get("nodeSelector") or {})},
        "securityContext": {**POD_SECURITY, **(wanted.get("securityContext") or {})},
        "containers": [
            {
                "name": "solver",
                "image": settings.image,
                "imagePullPolicy": settings.pull_policy,
                "args": ["solver", "--port", str(PORT)],
                "env": [{"name": ANSWERS_VARIABLE, "value": answers}],
                "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
                "readinessProbe": PROBE,
                "resources": wanted.get("resources") or settings.resources or RESOURCES,
                "securityContext": CONTAINER_SECURITY,
            }
        ],
        **{field: wanted[field] for field in _AS_THEY_ARE if wanted.get(field)},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(owner, name, labels=extra.get("labels"), annotations=annotations),
        "spec": spec,
    }


def service(owner: Owner, name: str, *, service_type: str, of_pod: bool) -> Manifest:
    """Return the Service that the route leads to; without a pod it has no selector, and an EndpointSlice beside it."""
    spec: Manifest = {
        "type": service_type,
        "ports": [{"name": "http", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
    }
    if of_pod:
        spec["selector"] = {**owner.selector, NAME_LABEL: name}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(owner, name), "spec": spec}


def endpoint_slice(owner: Owner, name: str, settings: SharedSettings) -> Manifest:
    """Return the EndpointSlice that leads a Service without selector to the operator's own responder."""
    version = ipaddress.ip_address(settings.address).version
    # https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#management
    labels = {"kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "certwright"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata(owner, name, labels=labels),
        "addressType": f"IPv{version}",
        "ports": [{"name": "http", "port": settings.port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [settings.address], "conditions": {"ready": True}}],
    }
