"""The demo's scenes: bring up the parts, apply the examples, watch, prove the result."""

from __future__ import annotations

import shutil
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console

from demo.proof import Proof, ask_ingress
from demo.result import show_result
from demo.watch import watch_until_ready
from scenario import Cluster, NotAsExpected, OperatorProcess, tsig_secret
from testbed.bed import TestBed
from testbed.locations import PROJECT
from testbed.options import BedOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE: Final = "demo"
HOST: Final = "demo.example.test"
EXAMPLES: Final = PROJECT / "examples" / "demo"
FOLDER: Final = PROJECT / ".cache" / "demo"
# The manifests in examples/demo/ name these.
PORTS: Final = {"pebble": {"acme": 14000}, "bind": {"main": 14053}, "backend": {"main": 14080}}

console = Console(highlight=False)


def run(*, keep: bool) -> int:
    """Show it all.

    Args:
        keep: Leave everything running until Ctrl-C.

    Returns:
        The exit code: 0 if the certificate was served and verified, else 1.

    Raises:
        BedError: A part cannot be built or started.
    """
    console.rule("[bold]Certwright: from nothing to a certificate that an ingress controller serves")
    console.print(
        "Real parts on loopback: etcd, kube-apiserver, controller-manager, the Pebble CA (-strict), BIND, Traefik.\n"
        "The first run builds them, which takes 10 to 20 minutes; later runs take seconds.\n"
    )
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        with ExitStack() as running:
            running.callback(console.print, "Ended what the demo had started.")
            try:
                _scenes(running, keep=keep)
            finally:
                # Once the end has begun a second Ctrl-C must not stop it half way.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    except (NotAsExpected, AssertionError, OSError) as error:
        console.print(f"[bold red]The demo failed:[/] {error}\nThe logs are in {FOLDER}.")
        return 1
    shutil.rmtree(FOLDER, ignore_errors=True)
    console.rule("[bold green]The demo succeeded")
    return 0


def _scenes(running: ExitStack, *, keep: bool) -> None:
    began = time.monotonic()
    timings: dict[str, float] = {}
    with _scene("Build or find the programs, and start them", timings):
        bed = running.enter_context(TestBed(BedOptions(challtestsrv=False, fixed_ports=PORTS), folder=FOLDER))
    cluster = running.enter_context(Cluster(bed))
    with _scene("Apply crds/", timings):
        bed.apply_crds()
    with _scene("Start the operator: certwright run", timings):
        # The bed's own CA is trusted the way a machine's certificates are, so the example needs no caBundle.
        trust = {"SSL_CERT_FILE": str(bed.pebble.ca_bundle)}
        running.enter_context(OperatorProcess(bed.kubeconfig, FOLDER / "operator.log", environment=trust))
    with _scene(f"Apply examples/demo/ to namespace {NAMESPACE}", timings):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        cluster.apply(tsig_secret(bed, NAMESPACE, name="demo-tsig"))
        for line in bed.kubectl("apply", "--namespace", NAMESPACE, "--filename", str(EXAMPLES)).splitlines():
            console.print(f"    {line}")
    with _scene("Watch the Certificate until it is Ready", timings):
        certificate = watch_until_ready(cluster, NAMESPACE, "demo", console)
    with _scene(f"Ask Traefik for https://{HOST}, trusting nothing but Pebble's root", timings):
        root = bed.pebble.root_pem()
        proof: Proof = ask_ingress(HOST, bed.traefik.https_port, root)
        console.print(f"    HTTP {proof.status}: {proof.body}")
    timings["All of it"] = time.monotonic() - began
    secret = cluster.get("Secret", NAMESPACE, "demo-tls") or {}
    show_result(console, proof=proof, certificate=certificate, secret=secret, root_pem=root, timings=timings)
    if keep:
        _keep(bed)


@contextmanager
def _scene(title: str, timings: dict[str, float]) -> Iterator[None]:
    """Say what is being done and how long it took."""
    console.print(f"[bold cyan]==>[/] {title}")
    began = time.monotonic()
    yield
    timings[title] = time.monotonic() - began
    console.print(f"    [dim]done in {timings[title]:.1f} s[/]")


def _keep(bed: TestBed) -> None:
    """Say what can be tried, and wait for Ctrl-C."""
    kubectl = bed.programs["kubectl"]
    root = FOLDER / "pebble-root.pem"
    root.write_bytes(bed.pebble.root_pem())
    console.print(
        f"""
[bold]Everything is left running.[/] In another terminal:

  export KUBECONFIG={bed.kubeconfig}
  alias kubectl={kubectl}

  kubectl -n {NAMESPACE} get certificates,issuers,secrets,events
  kubectl -n {NAMESPACE} describe certificate demo
  kubectl explain certificates.spec
  kubectl -n {NAMESPACE} delete secret demo-tls && kubectl -n {NAMESPACE} get certificate demo -o wide -w

  curl --cacert {root} --connect-to {HOST}:443:127.0.0.1:{bed.traefik.https_port} https://{HOST}/

The operator's log is {FOLDER / "operator.log"}.
[bold]Ctrl-C ends it all.[/]""",
        soft_wrap=True,
    )
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("\nEnding ...")
