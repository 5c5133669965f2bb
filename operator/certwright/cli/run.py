"""``certwright run``: the operator. Kept free of typer and rich, which a pod has no use for and pays 15 MB for."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import logging
import os
import secrets
import shlex
import socket
import sys
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.api import LEASE_NAMESPACE
from certwright.cert_manager.controller_flags import ControllerFlags
from certwright.cli.logs import configure_logging
from certwright.handlers.election import Election
from certwright.handlers.errors import OperatorFailed
from certwright.handlers.operator import run_operator
from certwright.handlers.options import Options
from certwright.http.addresses import AddressPolicy
from certwright.issuers.ambient import AmbientPolicy
from certwright.issuers.dns_webhook_serving import ServedWebhook
from certwright.issuers.presenters import Http01Options
from certwright.issuers.template_policy import (
    INGRESS_ANNOTATION_PATTERNS,
    POD_ANNOTATION_PATTERNS,
    POD_LABEL_PATTERNS,
    TemplatePolicy,
)
from certwright.kube.common_metadata import CommonMetadata
from certwright.kube.election import LeadershipLost
from certwright.kube.login import NoCredentials, in_cluster, own_namespace
from certwright.mirror.options import Options as MirrorOptions
from certwright.resources.labels import metadata_problem
from certwright.shim.annotations import Defaults
from certwright.shim.reconciler import Options as ShimOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

DEFAULT_NAMESPACE: Final = "certwright"
DEFAULT_LEASE: Final = "certwright"
EXIT_FAILED: Final = 1
MAX_SHOWN: Final = 200
"""Characters of a wrong argument in the message."""
EXIT_LEADERSHIP_LOST: Final = 75
"""EX_TEMPFAIL of sysexits.h: nothing is wrong with this process, start it again."""
LAST_SECONDS: Final = 1.5
"""After the lease was lost the process is gone by then, whatever hangs; the lease itself ends 3 s after the loss."""
EXIT_INTERRUPTED: Final = 130
"""As shells have it for SIGINT; Ctrl-C while connecting, later it is a graceful stop."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until it is told to stop; return the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    configure_logging(level=given.log_level, as_json=given.log_format == "json")
    if given.kubeconfig:
        # kopf takes it from nowhere else.
        os.environ["KUBECONFIG"] = given.kubeconfig
    try:
        options = _options(given)
    except ValueError as error:
        parser.error(str(error))
    try:
        asyncio.run(run_operator(options))
    except NoCredentials as error:
        logger.error("%s", error)  # noqa: TRY400 - a mistake of configuration, not of the program: no traceback
        return EXIT_FAILED
    except LeadershipLost as error:
        logger.error("the operator stops and takes no further action: %s", error)  # noqa: TRY400 - no defect of the program
        return EXIT_LEADERSHIP_LOST
    except OperatorFailed as error:
        logger.error("the operator stops: %s", error, exc_info=error.__cause__)  # noqa: TRY400 - the cause's is enough
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception:
        logger.exception("the operator stops: unexpected error")
        return EXIT_FAILED
    return 0


def _options(given: argparse.Namespace) -> Options:
    """Return what the arguments and the environment say.

    Raises:
        ValueError: A label, annotation or webhook is of a wrong form.
    """
    return Options(
        operator_namespace=given.operator_namespace,
        namespaces=given.namespace or _list(_env("NAMESPACE")),
        http_host=given.http_host,
        http_port=given.http_port,
        workers=given.workers,
        user_agent=f"certwright/{version('certwright')}",
        http01=Http01Options(
            image=given.solver_image or None,
            pull_policy=given.solver_image_pull_policy,
            responder_address=given.responder_address,
            responder_port=given.responder_port,
            tls_responder_port=given.tls_responder_port,
            check_port=given.http01_port,
            tls_check_port=given.tls_alpn01_port,
            addresses=AddressPolicy(allow_loopback=given.allow_loopback),
            resources=given.solver_resources,
            templates=TemplatePolicy(
                pod_labels=_patterns(given.allow_pod_label, "ALLOW_POD_LABEL", POD_LABEL_PATTERNS),
                pod_annotations=_patterns(given.allow_pod_annotation, "ALLOW_POD_ANNOTATION", POD_ANNOTATION_PATTERNS),
                ingress_annotations=_patterns(
                    given.allow_ingress_annotation, "ALLOW_INGRESS_ANNOTATION", INGRESS_ANNOTATION_PATTERNS
                ),
            ),
        ),
        served_webhooks=tuple(
            map(ServedWebhook.parse, given.dns_webhook_serving or _list(_env("DNS_WEBHOOK_SERVING")))
        ),
        ambient=AmbientPolicy(
            issuers=given.issuer_ambient_credentials, cluster_issuers=given.cluster_issuer_ambient_credentials
        ),
        common=CommonMetadata(
            labels=_pairs(given.object_label, "OBJECT_LABEL"),
            annotations=_pairs(given.object_annotation, "OBJECT_ANNOTATION"),
        ),
        kubeconfig=given.kubeconfig or None,
        lease_name=given.lease_name,
        identity=given.identity,
        shim=_shim(given),
        mirror=_mirror(given),
        cert_manager_namespace=given.cert_manager_leader_election_namespace,
        guarded=given.cert_manager_guard,
        election=Election(given.lease_name, given.identity, _end_soon) if given.leader_elect else None,
    )


def _shim(given: argparse.Namespace) -> ShimOptions | None:
    """Return which annotations count, or None if none does.

    Raises:
        ValueError: The default issuer is of a wrong form.
    """
    if not given.shim:
        return None
    kind, name = "ClusterIssuer", given.shim_default_issuer
    if "/" in name:
        kind, _, name = name.partition("/")
    if kind not in {"Issuer", "ClusterIssuer"}:
        raise ValueError(f"{given.shim_default_issuer[:MAX_SHOWN]!r} is neither Issuer/NAME nor ClusterIssuer/NAME")
    return ShimOptions(
        Defaults(
            cert_manager=given.shim_cert_manager_annotations != "false",
            issuer=name or None,
            issuer_kind=kind,
        ),
        leaves_to_cert_manager=given.shim_cert_manager_annotations == "auto",
    )


def _mirror(given: argparse.Namespace) -> MirrorOptions | None:
    """Return how objects of cert-manager are served, or None if they are not.

    Raises:
        ValueError: The arguments of its controller cannot be read.
    """
    if not given.serve_cert_manager_objects:
        return None
    try:
        arguments = shlex.split(given.cert_manager_arguments)
    except ValueError as error:
        raise ValueError(f"--cert-manager-arguments: {error}") from error
    flags = ControllerFlags.read(arguments, given.operator_namespace)
    return MirrorOptions(flags, shows_metrics=given.cert_manager_metrics)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="certwright run",
        description="Run the operator: watch Certificates and issuers, and bring certificates into Secrets.",
        epilog="Every option has an environment variable: --log-format is CERTWRIGHT_LOG_FORMAT. Command-line "
        "options take precedence.",
    )
    add = parser.add_argument
    add(
        "--kubeconfig",
        metavar="FILE",
        default=_env("KUBECONFIG"),
        help="kubeconfig to use (default: the service account in a pod, else $KUBECONFIG, else ~/.kube/config)",
    )
    add(
        "--operator-namespace",
        metavar="NAME",
        default=_env("OPERATOR_NAMESPACE") or own_namespace() or DEFAULT_NAMESPACE,
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
        default=_env("HTTP_HOST") or "0.0.0.0",  # noqa: S104 - probes and Prometheus come from outside the pod
        help="address for /healthz, /readyz and /metrics (default: %(default)s)",
    )
    add(
        "--http-port",
        metavar="PORT",
        type=_number(0, 65535),
        default=_env("HTTP_PORT") or "8080",
        help="port for them; 0 picks a free one (default: %(default)s)",
    )
    add(
        "--workers",
        metavar="NUMBER",
        type=_number(2, 256),
        default=_env("WORKERS") or "32",
        help="objects to process at the same time, 2 to 256 (default: %(default)s)",
    )
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
            default=_env(f"{kind.replace('-', '_').upper()}_AMBIENT_CREDENTIALS") or ambient,
            help=f"whether DNS providers of {which} without credentials use the operator's own,"
            " such as an IAM role or a workload identity (default: %(default)s)",
        )
    add(
        "--solver-image",
        metavar="IMAGE",
        default=_env("SOLVER_IMAGE"),
        help="image of the pods that answer http-01 challenges: Certwright's own (default: none, so such solvers need "
        "responder: shared)",
    )
    add(
        "--solver-image-pull-policy",
        metavar="POLICY",
        type=_one_of("Always", "IfNotPresent", "Never"),
        default=_env("SOLVER_IMAGE_PULL_POLICY") or "IfNotPresent",
        help="its pull policy: Always, IfNotPresent or Never (default: %(default)s)",
    )
    add(
        "--solver-resources",
        metavar="JSON",
        type=_resources,
        default=_env("SOLVER_RESOURCES") or None,
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
    for option in ("label", "annotation"):
        add(
            f"--object-{option}",
            metavar="KEY=VALUE",
            action="append",
            help=f"{option} of every object that the operator creates, Secrets, Events and Leases included; may be "
            "given several times, in the variable one a line (default: none)",
        )
    add(
        "--responder-address",
        metavar="ADDRESS",
        type=_ip_address,
        default=_env("RESPONDER_ADDRESS") or None,
        help="IP address at which ingress controllers reach this process, for http01 solvers with responder: shared "
        "(default: none, and no responder is started)",
    )
    add(
        "--responder-port",
        metavar="PORT",
        type=_number(1, 65535),
        default=_env("RESPONDER_PORT") or "8089",
        help="port of that responder (default: %(default)s)",
    )
    add(
        "--tls-responder-port",
        metavar="PORT",
        type=_number(1, 65535),
        default=_env("TLS_RESPONDER_PORT") or None,
        help="port of the same for tlsAlpn01 solvers with responder: shared (default: none, and TLS is not answered)",
    )
    add(
        "--tls-alpn01-port",
        metavar="PORT",
        type=_number(1, 65535),
        default=_env("TLS_ALPN01_PORT") or "443",
        help="port that the CA and self-checks connect to for tls-alpn-01: 443 except with test CAs (default: "
        "%(default)s)",
    )
    add(
        "--http01-port",
        metavar="PORT",
        type=_number(1, 65535),
        default=_env("HTTP01_PORT") or "80",
        help="port that the CA and self-checks connect to for http-01: 80 except with test CAs (default: %(default)s)",
    )
    add(
        "--allow-loopback",
        **_SWITCH,
        default=_env("ALLOW_LOOPBACK") or str(not in_cluster()).lower(),
        help="whether CAs and self-checked domains may be at a loopback address; link-local addresses and those of "
        "metadata services never are (default: false in a pod, true elsewhere)",
    )
    add(
        "--shim",
        **_SWITCH,
        default=_env("SHIM") or "false",
        help="whether Ingresses, Gateways and ListenerSets with annotations such as certwright.io/cluster-issuer get "
        "Certificates; without a value: true (default: %(default)s)",
    )
    add(
        "--shim-cert-manager-annotations",
        metavar="auto|true|false",
        type=_one_of("auto", "true", "false"),
        default=_env("SHIM_CERT_MANAGER_ANNOTATIONS") or "auto",
        help="whether to use cert-manager's annotations too; auto: unless cert-manager's controller is running in "
        "the cluster (default: %(default)s)",
    )
    add(
        "--shim-default-issuer",
        metavar="KIND/NAME",
        default=_env("SHIM_DEFAULT_ISSUER"),
        help="issuer of Ingresses with kubernetes.io/tls-acme, such as ClusterIssuer/letsencrypt (default: none; "
        "that annotation is ignored)",
    )
    add(
        "--cert-manager-guard",
        **_SWITCH,
        default=_env("CERT_MANAGER_GUARD") or "false",
        help="whether to leave Secrets that cert-manager's Certificates name to cert-manager while its controller is "
        "running; without a value: true (default: %(default)s)",
    )
    add(
        "--cert-manager-leader-election-namespace",
        metavar="NAMESPACE",
        default=_env("CERT_MANAGER_LEADER_ELECTION_NAMESPACE") or LEASE_NAMESPACE,
        help="namespace of the Lease of cert-manager's controller: its --leader-election-namespace"
        " (default: %(default)s)",
    )
    add(
        "--serve-cert-manager-objects",
        **_SWITCH,
        default=_env("SERVE_CERT_MANAGER_OBJECTS") or "false",
        help="whether to serve Certificates, Issuers and ClusterIssuers of cert-manager.io and write their status, "
        "unless cert-manager's controller is running in the cluster; without a value: "
        "true (default: %(default)s)",
    )
    add(
        "--cert-manager-arguments",
        metavar="TEXT",
        default=_env("CERT_MANAGER_ARGUMENTS"),
        help="arguments of cert-manager's controller that change the meaning of its objects, such as "
        "'--dns01-recursive-nameservers=192.0.2.53:53 --enable-certificate-owner-ref'; others are ignored (default: "
        "none)",
    )
    add(
        "--cert-manager-metrics",
        **_SWITCH,
        default=_env("CERT_MANAGER_METRICS") or "false",
        help="whether to also show the served objects in cert-manager's metrics, "
        "such as certmanager_certificate_ready_status; without a value: true (default: %(default)s)",
    )
    add(
        "--leader-elect",
        **_SWITCH,
        default=_env("LEADER_ELECT") or "false",
        help="whether to act only while holding a Lease in the operator namespace, so that several replicas can run; "
        "without a value: true (default: %(default)s)",
    )
    add(
        "--lease-name",
        metavar="NAME",
        default=_env("LEASE_NAME") or DEFAULT_LEASE,
        help="name of that Lease (default: %(default)s)",
    )
    add(
        "--identity",
        metavar="NAME",
        default=_env("IDENTITY") or f"{socket.gethostname()}_{secrets.token_hex(4)}",
        help="name of this replica in it (default: the host name and something random)",
    )
    add(
        "--log-level",
        metavar="LEVEL",
        type=_one_of("debug", "info", "warning", "error"),
        default=_env("LOG_LEVEL") or "info",
        help="lowest level to log: debug, info, warning or error (default: %(default)s)",
    )
    add(
        "--log-format",
        metavar="FORMAT",
        type=_one_of("json", "text"),
        default=_env("LOG_FORMAT") or ("text" if sys.stderr.isatty() else "json"),
        help="log format: json or text (default: text on a terminal, else json)",
    )
    return parser


def _patterns(given: Sequence[str] | None, variable: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """Return what templates may have; an empty variable means nothing, which is not the default."""
    if given:
        return tuple(given)
    text = os.environ.get(f"CERTWRIGHT_{variable}")
    return default if text is None else tuple(_list(text))


def _pairs(given: Sequence[str] | None, variable: str) -> dict[str, str]:
    """Return labels or annotations by their keys.

    Raises:
        ValueError: One is of a wrong form.
    """
    pairs: dict[str, str] = {}
    for text in given or _env(variable).splitlines():
        if not text.strip():
            continue
        key, equals, value = text.strip().partition("=")
        is_label = variable == "OBJECT_LABEL"
        if not equals or (problem := metadata_problem(key, value, is_label=is_label)):
            what = problem if equals else "is not of the form KEY=VALUE"
            raise ValueError(f"{text[:MAX_SHOWN]!r} {what}")
        pairs[key] = value
    return pairs


def _end_soon() -> None:
    """See to it that this process ends, also if something does not let go: another replica leads in a moment."""
    timer = threading.Timer(LAST_SECONDS, _end_now)
    timer.daemon = True
    timer.start()


def _end_now() -> None:
    logger.error("the operator did not stop within %g s of losing the lease, and is killed", LAST_SECONDS)
    os._exit(EXIT_LEADERSHIP_LOST)


def _env(name: str) -> str:
    return os.environ.get(f"CERTWRIGHT_{name}", "")


def _list(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


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
