"""Pods of the bed's own web server, as the restricted profile wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from testbed.pod_images import WEB, pod_image
from testbed.web import Answer, answers, fetch

if TYPE_CHECKING:
    from harness.cluster import Cluster, Object
    from testbed import TestBed

PORT: Final = 8080
OK: Final = 200


def load_web_image(bed: TestBed) -> None:
    """Give the node the image of the web server, unless it has it."""
    if WEB not in bed.node.image_names():
        bed.node.load_image(pod_image(WEB, bed.programs))


def web_pod(namespace: str, name: str, *, thumbprint: str = "", **security: Any) -> dict[str, Any]:
    """Return a pod of the web server.

    Args:
        namespace: where it runs.
        name: its name, and the value of its label `app`.
        thumbprint: of the account key for which it answers HTTP-01 challenges.
        security: replaces fields of the container's securityContext.
    """
    context = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **security,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": "web",
                    "image": WEB,
                    "imagePullPolicy": "IfNotPresent",
                    "env": [{"name": "THUMBPRINT", "value": thumbprint}],
                    "ports": [{"containerPort": PORT}],
                    "readinessProbe": {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1},
                    "securityContext": context,
                }
            ],
        },
    }


def web_service(namespace: str, name: str) -> dict[str, Any]:
    """Return a Service on port 80 for the pod of the same name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": PORT}]},
    }


def web_ingress(namespace: str, name: str, host: str) -> dict[str, Any]:
    """Return an Ingress that leads all of a host to the Service of the same name."""
    backend = {"service": {"name": name, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ingressClassName": "traefik", "rules": [{"host": host, "http": {"paths": [path]}}]},
    }


def start_web(bed: TestBed, cluster: Cluster, namespace: str, name: str, *, thumbprint: str = "") -> dict[str, Any]:
    """Run a pod of the web server with its Service; return the pod once it is Ready and its Service leads to it."""
    load_web_image(bed)
    service = cluster.apply(web_service(namespace, name))
    cluster.apply(web_pod(namespace, name, thumbprint=thumbprint))
    pod = cluster.wait_condition("Pod", namespace, name, "Ready", "True")
    # kube-proxy refuses connections until it has heard of the first endpoint, a second after the pod is Ready.
    url = f"http://{service['spec']['clusterIP']}/"
    cluster.wait_for(f"{url} leads to the pod", lambda: {"answers": answers(url)}, lambda seen: bool(seen["answers"]))
    return pod


def ask_by(pod: dict[str, Any], url: str) -> Answer:
    """Have a Ready pod of the web server ask for a URL; return its answer, or 502 and why there is none."""
    return fetch(f"http://{pod['status']['podIP']}:{PORT}/fetch?url={quote(url, safe='')}")


def asked_by(cluster: Cluster, pod: dict[str, Any], url: str) -> str:
    """Return what a pod is answered; a new name, Service or policy is known to all parts a moment later."""

    def look() -> Object:
        answer = ask_by(pod, url)
        return {"status": {"code": answer.status, "body": answer.body.decode()}}

    what = f"{pod['metadata']['name']} has no answer from {url}"
    body: str = cluster.wait_for(what, look, lambda seen: bool(seen["status"]["code"] == OK))["status"]["body"]
    return body
