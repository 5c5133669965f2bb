"""The demo's scenes on a real node: the image, the chart, HTTP-01 by a solver pod behind Traefik, the HTTPS proof."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import yaml

from chart import Helm
from demo.proof import Proof, ask_ingress
from demo.result import show_result
from demo.stage import FOLDER, Stage, console, perform, wait_for_interrupt
from demo.watch import watch_until_ready
from harness import Cluster
from testbed.bed import TestBed
from testbed.images import CERTWRIGHT, certwright_image
from testbed.isolation import bed_cgroup
from testbed.locations import PROJECT
from testbed.network import HTTPS_PORT
from testbed.options import BedOptions
from testbed.pod_images import WEB, pod_image
from testbed.progress import reporter
from testbed.web import fetch

if TYPE_CHECKING:
    from pathlib import Path

HOME: Final = "certwright"
NAMESPACE: Final = "demo"
HOST: Final = "demo.example.test"
EXAMPLES: Final = PROJECT / "examples" / "demo-node"
ISSUER: Final = "demo"
VALUES: Final = FOLDER / "values.yaml"
RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}

TITLE: Final = "Certwright on a node: image, Helm chart, HTTP-01, HTTPS"
INTRODUCTION: Final = (
    "A real node (kubelet, containerd, runc, kube-proxy, CoreDNS, the scheduler), with etcd, kube-apiserver, "
    "controller-manager, the Pebble CA (-strict), BIND, and Traefik on ports 80 and 443. Everything runs in its own "
    "namespaces, and nothing is left afterwards.\n"
)


def run(*, keep: bool) -> int:
    """Show it all; to be run isolated, as root.

    Args:
        keep: Leave everything running until Ctrl-C.

    Returns:
        The exit code: 0 if the certificate was served and verified, else 1.

    Raises:
        BedError: A part cannot be built or started, Helm refused, or we are not in namespaces of our own.
    """
    bed_cgroup()
    return perform(TITLE, INTRODUCTION, lambda stage: _scenes(stage, keep=keep))


def _scenes(stage: Stage, *, keep: bool) -> None:
    options = BedOptions(node=True, network_policies=True, challtestsrv=False)
    with stage.scene("Start the cluster, node, CA, DNS server and ingress controller"):
        bed = stage.running.enter_context(TestBed(options, folder=FOLDER))
        console.print(f"    node {bed.node.name} is Ready")
    cluster = stage.running.enter_context(Cluster(bed))
    with stage.scene(f"Load the images {CERTWRIGHT} and {WEB} onto the node"):
        bed.node.load_image(certwright_image(reporter()))
        bed.node.load_image(pod_image(WEB, bed.programs))
    with stage.scene(f"helm upgrade --install certwright helm/certwright --namespace {HOME} --wait --values ..."):
        for name in (HOME, NAMESPACE):
            cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
        _install(bed)
        for line in _about_pods(cluster):
            console.print(f"    {line}")
    with stage.scene(f"Apply examples/demo-node/ to namespace {NAMESPACE}"):
        for line in bed.kubectl("apply", "--namespace", NAMESPACE, "--filename", str(EXAMPLES)).splitlines():
            console.print(f"    {line}")
    with stage.scene("Watch the Certificate, and the pod that answers the CA, until the Certificate is Ready"):
        certificate = watch_until_ready(cluster, NAMESPACE, "demo", console)
    with stage.scene(f"Request https://{HOST} from Traefik, trusting only Pebble's root"):
        bed.kubectl("wait", "pod", "--namespace", NAMESPACE, "--selector=app=demo", "--for=condition=Ready")
        root = bed.pebble.root_pem()
        proof: Proof = ask_ingress(HOST, HTTPS_PORT, root)
        console.print(f"    HTTP {proof.status}: {proof.body}")
    stage.close()
    secret = cluster.get("Secret", NAMESPACE, "demo-tls") or {}
    show_result(console, proof=proof, certificate=certificate, secret=secret, root_pem=root, timings=stage.timings)
    if keep:
        _keep(bed)


def _install(bed: TestBed) -> None:
    issuer = {
        "server": bed.pebble.directory_url,
        "email": "admin@example.test",
        "caBundle": base64.b64encode(bed.pebble.ca_bundle_pem).decode(),
        "privateKeySecretRef": {"name": f"{ISSUER}-account"},
        "solvers": [{"http01": {"ingress": {"ingressClassName": "traefik"}}}],
    }
    values: dict[str, Any] = {
        "image": {"registry": "localhost", "tag": CERTWRIGHT.rpartition(":")[2]},
        "replicas": 2,
        "clusterIssuers": [{"name": ISSUER, "spec": {"acme": issuer}}],
    }
    VALUES.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    helm = Helm.find(reporter(), bed.kubeconfig)
    chart = str(PROJECT / "helm" / "certwright")
    helm.run("upgrade", "--install", "certwright", chart, f"--namespace={HOME}", "--wait", f"--values={VALUES}")


def _about_pods(cluster: Cluster) -> list[str]:
    """Describe the operator's pods and which of them leads."""
    holder = ((cluster.get("Lease", HOME, "certwright") or {}).get("spec") or {}).get("holderIdentity")
    lines = []
    for pod in cluster.find_all("Pod", HOME):
        metrics = fetch(f"http://{pod['status']['podIP']}:8080/metrics").body.decode()
        resident = next(
            float(line.split()[1]) for line in metrics.splitlines() if line.startswith("process_resident_memory_bytes ")
        )
        name = pod["metadata"]["name"]
        lines.append(f"pod {name}: {resident / 1e6:.0f} MB{', leads' if name == holder else ''}")
    return lines


def _keep(bed: TestBed) -> None:
    root = FOLDER / "pebble-root.pem"
    root.write_bytes(bed.pebble.root_pem())
    wait_for_interrupt(
        f"""
[bold]Everything is left running.[/] In another terminal, as root, run the nsenter command shown at the top, then:

  export KUBECONFIG={bed.kubeconfig}
  alias kubectl={bed.programs["kubectl"]} helm={_helm_program()}

  kubectl get pods --all-namespaces --output wide
  kubectl -n {NAMESPACE} get cwcert,secrets,ingresses,events
  kubectl -n {HOME} get lease certwright
  kubectl -n {NAMESPACE} delete secret demo-tls && kubectl -n {NAMESPACE} get cwcert demo -o wide -w
  helm -n {HOME} get values certwright

  curl --cacert {root} --connect-to {HOST}:443:127.0.0.1:443 https://{HOST}/
"""
    )


def _helm_program() -> Path:
    return Helm.find(reporter()).program
