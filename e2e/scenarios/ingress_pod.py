"""Traefik as a pod, as most clusters have it: NetworkPolicies hold for what it sends, and its ports are its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from testbed.pod_images import TRAEFIK, pod_image

if TYPE_CHECKING:
    from harness.cluster import Cluster
    from testbed import TestBed

REDIRECT: Final = (
    "--entrypoints.web.http.redirections.entrypoint.to=websecure",
    "--entrypoints.web.http.redirections.entrypoint.scheme=https",
)
"""Everything that comes to port 80 is sent to port 443: a common setting, and it holds for challenges too."""


def start_ingress(bed: TestBed, cluster: Cluster, namespace: str, name: str, *arguments: str) -> str:
    """Run Traefik in a pod, serving the Ingresses of all namespaces on ports 80 and 443; return its address.

    Args:
        bed: The bed.
        cluster: Its API server.
        namespace: Where the pod runs; it must not be of the restricted level, as ports below 1024 take root.
        name: Of the pod.
        arguments: Further ones of Traefik's.
    """
    if TRAEFIK not in bed.node.image_names():
        bed.node.load_image(pod_image(TRAEFIK, bed.programs))
    for manifest in _rights(namespace):
        bed_apply(bed, manifest)
    cluster.apply(_pod(namespace, name, arguments))
    pod = cluster.wait_condition("Pod", namespace, name, "Ready", "True")
    address: str = pod["status"]["podIP"]
    return address


def bed_apply(bed: TestBed, manifest: str) -> None:
    """Apply a manifest of a kind that the small client does not know."""
    bed.kubectl("apply", "--server-side", "-f", "-", stdin=manifest)


def _pod(namespace: str, name: str, arguments: tuple[str, ...]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "ingress"}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "traefik",
                    "image": TRAEFIK,
                    "imagePullPolicy": "IfNotPresent",
                    "args": [
                        "--entrypoints.web.address=:80",
                        "--entrypoints.websecure.address=:443",
                        "--entrypoints.websecure.http.tls=true",
                        "--entrypoints.traefik.address=:8080",
                        "--providers.kubernetesingress=true",
                        "--providers.kubernetesingress.allowemptyservices=true",
                        "--ping=true",
                        "--global.checknewversion=false",
                        "--global.sendanonymoususage=false",
                        *arguments,
                    ],
                    "readinessProbe": {"httpGet": {"path": "/ping", "port": 8080}, "periodSeconds": 1},
                    "securityContext": {"runAsUser": 0},
                }
            ],
        },
    }


def _rights(namespace: str) -> list[str]:
    """Return what Traefik may see, for the default account of its namespace."""
    return [
        """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ingress-pod}
rules:
  - {apiGroups: [""], resources: [services, secrets, nodes, endpoints], verbs: [get, list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses, ingressclasses], verbs: [get, list, watch]}
  - {apiGroups: [networking.k8s.io], resources: [ingresses/status], verbs: [update]}
""",
        f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: ingress-pod}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ingress-pod}}
subjects: [{{kind: ServiceAccount, name: default, namespace: {namespace}}}]
""",
    ]
