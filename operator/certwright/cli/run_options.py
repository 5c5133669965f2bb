"""What the command line and the environment of ``certwright run`` say, as the operator's options."""

from __future__ import annotations

import os
import shlex
from importlib.metadata import version
from typing import TYPE_CHECKING

from certwright.cert_manager.controller_flags import ControllerFlags
from certwright.cli.run_parser import MAX_SHOWN, env
from certwright.handlers.election import Election
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
from certwright.mirror.options import Options as MirrorOptions
from certwright.resources.labels import metadata_problem
from certwright.shim.annotations import Defaults
from certwright.shim.reconciler import Options as ShimOptions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence


def options_of(given: argparse.Namespace, *, on_lost: Callable[[], None]) -> Options:
    """Return what the arguments and the environment say.

    Args:
        given: What `parser` has read.
        on_lost: Called when the lease is lost.

    Raises:
        ValueError: A label, annotation or webhook is of a wrong form.
    """
    return Options(
        operator_namespace=given.operator_namespace,
        namespaces=given.namespace or _list(env("NAMESPACE")),
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
        served_webhooks=tuple(map(ServedWebhook.parse, given.dns_webhook_serving or _list(env("DNS_WEBHOOK_SERVING")))),
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
        election=Election(given.lease_name, given.identity, on_lost) if given.leader_elect else None,
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
    for text in given or env(variable).splitlines():
        if not text.strip():
            continue
        key, equals, value = text.strip().partition("=")
        is_label = variable == "OBJECT_LABEL"
        if not equals or (problem := metadata_problem(key, value, is_label=is_label)):
            what = problem if equals else "is not of the form KEY=VALUE"
            raise ValueError(f"{text[:MAX_SHOWN]!r} {what}")
        pairs[key] = value
    return pairs


def _list(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
