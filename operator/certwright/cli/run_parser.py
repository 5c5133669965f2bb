"""The command line of ``certwright run``: each option has an environment variable of the same name."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import secrets
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from certwright.cert_manager.api import LEASE_NAMESPACE
from certwright.issuers.template_policy import POD_ANNOTATION_PATTERNS, POD_LABEL_PATTERNS
from certwright.kube.login import in_cluster, own_namespace

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_NAMESPACE: Final = "certwright"
DEFAULT_LEASE: Final = "certwright"
MAX_SHOWN: Final = 200
"""Characters of a wrong argument in the message."""


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line and the environment."""
    found = argparse.ArgumentParser(
        prog="certwright run",
        description="Run the operator: watch Certificates and issuers, and bring certificates into Secrets.",
        epilog="Every option has an environment variable: --log-format is CERTWRIGHT_LOG_FORMAT. Command-line "
        "options take precedence.",
    )
    add = partial(_add, found)
    for group in (
        _add_basics,
        _add_dns_providers,
        _add_solvers,
        _add_objects,
        _add_challenges,
        _add_shim,
        _add_cert_manager,
        _add_replicas,
        _add_logs,
    ):
        group(add)
    return found


def env(name: str) -> str:
    """Return an environment variable of ours, such as `NAMESPACE`; empty if it is not set."""
    return os.environ.get(f"CERTWRIGHT_{name}", "")


class _Add(Protocol):
    def __call__(self, option: str, *, default: str | None = None, **settings: Any) -> None: ...


def _add(parser: argparse.ArgumentParser, option: str, *, default: str | None = None, **settings: Any) -> None:
    """Add an option whose default is its environment variable, if that is set. Lists read theirs when they are used."""
    is_list = settings.get("action") == "append"
    told = "" if is_list else env(option.removeprefix("--").replace("-", "_").upper())
    parser.add_argument(option, default=told or default, **settings)


def _add_basics(add: _Add) -> None:
    add(
        "--kubeconfig",
        metavar="FILE",
        default="",
        help="kubeconfig to use (default: the service account in a pod, else $KUBECONFIG, else ~/.kube/config)",
    )
    add(
        "--operator-namespace",
        metavar="NAME",
        default=own_namespace() or DEFAULT_NAMESPACE,
        help="namespace of the Secrets that ClusterIssuers refer to (default: %(default)s)",
    )
    add(
        "--namespace",
        metavar="NAME",
        action="append",
        help="namespace to serve; may be given several times, in the variable separated by commas (default: all)",
    )
    add(
        "--http-host",
        metavar="ADDRESS",
        default="0.0.0.0",  # noqa: S104 - probes and Prometheus come from outside the pod
        help="address for /healthz, /readyz and /metrics (default: %(default)s)",
    )
    add(
        "--http-port",
        metavar="PORT",
        type=_number(0, 65535),
        default="8080",
        help="port for them; 0 picks a free one (default: %(default)s)",
    )
    add(
        "--workers",
        metavar="NUMBER",
        type=_number(2, 256),
        default="32",
        help="objects to process at the same time, 2 to 256 (default: %(default)s)",
    )


def _add_dns_providers(add: _Add) -> None:
    add(
        "--dns-webhook-serving",
        metavar="GROUP=NAMESPACE/SERVICE/SECRET",
        action="append",
        help="DNS webhook whose serving certificate to create, in this Secret next to its Service, with the CA in "
        "its APIService; may be given several times, in the variable separated by commas (default: none)",
    )
    for kind, ambient, which in (("cluster-issuer", "true", "ClusterIssuers"), ("issuer", "false", "Issuers")):
        add(
            f"--{kind}-ambient-credentials",
            **_SWITCH,
            default=ambient,
            help=f"whether DNS providers of {which} without credentials use the operator's own,"
            " such as an IAM role or a workload identity (default: %(default)s)",
        )


def _add_solvers(add: _Add) -> None:
    add(
        "--solver-image",
        metavar="IMAGE",
        default="",
        help="image of the pods that answer http-01 challenges: Certwright's own (default: none, so such solvers need "
        "responder: shared)",
    )
    add(
        "--solver-image-pull-policy",
        metavar="POLICY",
        type=_one_of("Always", "IfNotPresent", "Never"),
        default="IfNotPresent",
        help="its pull policy: Always, IfNotPresent or Never (default: %(default)s)",
    )
    add(
        "--solver-resources",
        metavar="JSON",
        type=_resources,
        help="requests and limits of these pods, as in a container, unless an issuer's podTemplate has its own "
        "(default: requests of 5m CPU and 24Mi memory, limits of 250m and 64Mi)",
    )
    for option, default in (("label", POD_LABEL_PATTERNS), ("annotation", POD_ANNOTATION_PATTERNS)):
        add(
            f"--allow-pod-{option}",
            metavar="PATTERN",
            action="append",
            help=f"{option} that issuers may set in a podTemplate; * matches anything, alone only keys without prefix; "
            f"may be given several times, in the variable separated by commas (default: {', '.join(default)})",
        )
    add(
        "--allow-ingress-annotation",
        metavar="PATTERN",
        action="append",
        help="the same for annotations in an ingressTemplate (default: keys without a prefix, and those that choose "
        "entry points, source addresses and redirects to HTTPS)",
    )


def _add_objects(add: _Add) -> None:
    for option in ("label", "annotation"):
        add(
            f"--object-{option}",
            metavar="KEY=VALUE",
            action="append",
            help=f"{option} of every object that the operator creates, Secrets, Events and Leases included; may be "
            "given several times, in the variable one a line (default: none)",
        )


def _add_challenges(add: _Add) -> None:
    add(
        "--responder-address",
        metavar="ADDRESS",
        type=_ip_address,
        help="IP address at which ingress controllers reach this process, for http01 solvers with responder: shared "
        "(default: none, and no responder is started)",
    )
    add(
        "--responder-port",
        metavar="PORT",
        type=_number(1, 65535),
        default="8089",
        help="port of that responder (default: %(default)s)",
    )
    add(
        "--tls-responder-port",
        metavar="PORT",
        type=_number(1, 65535),
        help="port of the same for tlsAlpn01 solvers with responder: shared (default: none, and TLS is not answered)",
    )
    add(
        "--tls-alpn01-port",
        metavar="PORT",
        type=_number(1, 65535),
        default="443",
        help="port that the CA and self-checks connect to for tls-alpn-01: 443 except with test CAs (default: "
        "%(default)s)",
    )
    add(
        "--http01-port",
        metavar="PORT",
        type=_number(1, 65535),
        default="80",
        help="port that the CA and self-checks connect to for http-01: 80 except with test CAs (default: %(default)s)",
    )
    add(
        "--allow-loopback",
        **_SWITCH,
        default=str(not in_cluster()).lower(),
        help="whether CAs and self-checked domains may be at a loopback address; link-local addresses and those of "
        "metadata services never are (default: false in a pod, true elsewhere)",
    )


def _add_shim(add: _Add) -> None:
    add(
        "--shim",
        **_SWITCH,
        default="false",
        help="whether Ingresses, Gateways and ListenerSets with annotations such as certwright.io/cluster-issuer get "
        "Certificates; without a value: true (default: %(default)s)",
    )
    add(
        "--shim-cert-manager-annotations",
        metavar="auto|true|false",
        type=_one_of("auto", "true", "false"),
        default="auto",
        help="whether to use cert-manager's annotations too; auto: unless cert-manager's controller is running in "
        "the cluster (default: %(default)s)",
    )
    add(
        "--shim-default-issuer",
        metavar="KIND/NAME",
        default="",
        help="issuer of Ingresses with kubernetes.io/tls-acme, such as ClusterIssuer/letsencrypt (default: none; "
        "that annotation is ignored)",
    )


def _add_cert_manager(add: _Add) -> None:
    add(
        "--cert-manager-guard",
        **_SWITCH,
        default="false",
        help="whether to leave Secrets that cert-manager's Certificates name to cert-manager while its controller is "
        "running; without a value: true (default: %(default)s)",
    )
    add(
        "--cert-manager-leader-election-namespace",
        metavar="NAMESPACE",
        default=LEASE_NAMESPACE,
        help="namespace of the Lease of cert-manager's controller: its --leader-election-namespace"
        " (default: %(default)s)",
    )
    add(
        "--serve-cert-manager-objects",
        **_SWITCH,
        default="false",
        help="whether to serve Certificates, Issuers and ClusterIssuers of cert-manager.io and write their status, "
        "unless cert-manager's controller is running in the cluster; without a value: "
        "true (default: %(default)s)",
    )
    add(
        "--cert-manager-arguments",
        metavar="TEXT",
        default="",
        help="arguments of cert-manager's controller that change the meaning of its objects, such as "
        "'--dns01-recursive-nameservers=192.0.2.53:53 --enable-certificate-owner-ref'; others are ignored (default: "
        "none)",
    )
    add(
        "--cert-manager-metrics",
        **_SWITCH,
        default="false",
        help="whether to also show the served objects in cert-manager's metrics, "
        "such as certmanager_certificate_ready_status; without a value: true (default: %(default)s)",
    )


def _add_replicas(add: _Add) -> None:
    add(
        "--leader-elect",
        **_SWITCH,
        default="false",
        help="whether to act only while holding a Lease in the operator namespace, so that several replicas can run; "
        "without a value: true (default: %(default)s)",
    )
    add(
        "--lease-name",
        metavar="NAME",
        default=DEFAULT_LEASE,
        help="name of that Lease (default: %(default)s)",
    )
    add(
        "--identity",
        metavar="NAME",
        default=f"{socket.gethostname()}_{secrets.token_hex(4)}",
        help="name of this replica in it (default: the host name and something random)",
    )


def _add_logs(add: _Add) -> None:
    add(
        "--log-level",
        metavar="LEVEL",
        type=_one_of("debug", "info", "warning", "error"),
        default="info",
        help="lowest level to log: debug, info, warning or error (default: %(default)s)",
    )
    add(
        "--log-format",
        metavar="FORMAT",
        type=_one_of("json", "text"),
        default=("text" if sys.stderr.isatty() else "json"),
        help="log format: json or text (default: text on a terminal, else json)",
    )


# argparse checks `choices` on the command line only; a `type` sees what comes from the environment as well.
def _one_of(*choices: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return check


def _ip_address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IP address") from None
    if address.is_loopback or address.is_unspecified or address.is_link_local or address.is_multicast:
        # The API server takes no such in an EndpointSlice, and each order would find out for itself.
        raise argparse.ArgumentTypeError(f"{text} is not an address at which other hosts can reach this process")
    return str(address)


def _resources(text: str) -> dict[str, dict[str, str]]:
    try:
        given = json.loads(text)
        kinds = {kind: {str(name): str(amount) for name, amount in amounts.items()} for kind, amounts in given.items()}
    except (ValueError, AttributeError):
        raise argparse.ArgumentTypeError(f"{text[:MAX_SHOWN]!r} is no JSON object of requests and limits") from None
    if not kinds.keys() <= {"requests", "limits"}:
        raise argparse.ArgumentTypeError("resources have requests and limits, and nothing else")
    return kinds


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text == "true"


_SWITCH: Final[dict[str, Any]] = {"metavar": "true|false", "nargs": "?", "type": _truth, "const": True}
"""What options have in common that are true or false, and true without a value."""


def _number(least: int, most: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return check
