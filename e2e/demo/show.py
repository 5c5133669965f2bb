"""The demo's scenes: bring up the parts, apply the examples, watch, prove the result."""

from __future__ import annotations

from typing import Final

from demo.proof import Proof, ask_ingress
from demo.result import show_result
from demo.stage import FOLDER, Stage, console, perform, wait_for_interrupt
from demo.watch import watch_until_ready
from harness import Cluster, OperatorProcess, tsig_secret
from testbed.bed import TestBed
from testbed.locations import PROJECT
from testbed.options import BedOptions

NAMESPACE: Final = "demo"
HOST: Final = "demo.example.test"
EXAMPLES: Final = PROJECT / "examples" / "demo"
# The manifests in examples/demo/ name these.
PORTS: Final = {"pebble": {"acme": 14000}, "bind": {"main": 14053}, "backend": {"main": 14080}}

TITLE: Final = "Certwright: from nothing to a certificate that an ingress controller serves"
INTRODUCTION: Final = (
    "Real components on loopback: etcd, kube-apiserver, controller-manager, the Pebble CA (-strict), BIND, Traefik. "
    "The first run builds them, which takes 10 to 20 minutes; later runs take seconds.\n"
)


def run(*, keep: bool) -> int:
    """Show it all.

    Args:
        keep: Leave everything running until Ctrl-C.

    Returns:
        The exit code: 0 if the certificate was served and verified, else 1.

    Raises:
        BedError: A part cannot be built or started.
    """
    return perform(TITLE, INTRODUCTION, lambda stage: _scenes(stage, keep=keep))


def _scenes(stage: Stage, *, keep: bool) -> None:
    with stage.scene("Find or build the programs, and start them"):
        bed = stage.running.enter_context(TestBed(BedOptions(challtestsrv=False, fixed_ports=PORTS), folder=FOLDER))
    cluster = stage.running.enter_context(Cluster(bed))
    with stage.scene("Apply crds/"):
        bed.apply_crds()
    with stage.scene("Start the operator: certwright run"):
        # The bed's own CA is trusted the way a machine's certificates are, so the example needs no caBundle.
        trust = {"SSL_CERT_FILE": str(bed.pebble.ca_bundle)}
        stage.running.enter_context(OperatorProcess(bed.kubeconfig, FOLDER / "operator.log", environment=trust))
    with stage.scene(f"Apply examples/demo/ to namespace {NAMESPACE}"):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        cluster.apply(tsig_secret(bed, NAMESPACE, name="demo-tsig"))
        for line in bed.kubectl("apply", "--namespace", NAMESPACE, "--filename", str(EXAMPLES)).splitlines():
            console.print(f"    {line}")
    with stage.scene("Watch the Certificate until it is Ready"):
        certificate = watch_until_ready(cluster, NAMESPACE, "demo", console)
    with stage.scene(f"Request https://{HOST} from Traefik, trusting only Pebble's root"):
        root = bed.pebble.root_pem()
        proof: Proof = ask_ingress(HOST, bed.traefik.https_port, root)
        console.print(f"    HTTP {proof.status}: {proof.body}")
    stage.close()
    secret = cluster.get("Secret", NAMESPACE, "demo-tls") or {}
    show_result(console, proof=proof, certificate=certificate, secret=secret, root_pem=root, timings=stage.timings)
    if keep:
        _keep(bed)


def _keep(bed: TestBed) -> None:
    kubectl = bed.programs["kubectl"]
    root = FOLDER / "pebble-root.pem"
    root.write_bytes(bed.pebble.root_pem())
    wait_for_interrupt(
        f"""
[bold]Everything is left running.[/] In another terminal:

  export KUBECONFIG={bed.kubeconfig}
  alias kubectl={kubectl}

  kubectl -n {NAMESPACE} get cwcert,cwiss,secrets,events
  kubectl -n {NAMESPACE} describe cwcert demo
  kubectl explain cwcert.spec
  kubectl -n {NAMESPACE} delete secret demo-tls && kubectl -n {NAMESPACE} get cwcert demo -o wide -w

  curl --cacert {root} --connect-to {HOST}:443:127.0.0.1:{bed.traefik.https_port} https://{HOST}/

The operator's log is {FOLDER / "operator.log"}."""
    )
