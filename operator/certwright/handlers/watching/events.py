"""kopf handlers: put the news into the stores, ask for a look. Nothing else happens here.

They are low-level ``on.event`` handlers: kopf keeps no annotations, no finalizers and no per-object daemons for us.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, Literal

import kopf

from certwright.certificates.secret import SecretFacts
from certwright.kube.api import label
from certwright.resources import (
    CERTIFICATES,
    CLUSTER_ISSUERS,
    GROUP,
    ISSUERS,
    MANAGED_LABEL,
    MANAGED_VALUE,
    VERSION,
    ClusterIssuer,
    InvalidResource,
    Issuer,
)
from certwright.runtime.key import Key, Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from certwright.handlers.controller import Controller

logger = logging.getLogger(__name__)

DELETED = "DELETED"
KINDS: Final[dict[str, Kind | Literal["Secret"]]] = {
    CERTIFICATES: "Certificate",
    ISSUERS: "Issuer",
    CLUSTER_ISSUERS: "ClusterIssuer",
    "secrets": "Secret",
}


def make_registry(controller: Controller) -> kopf.OperatorRegistry:
    """Return the handlers for our resources and for the Secrets that carry our label."""
    registry = kopf.OperatorRegistry()

    @kopf.on.event(GROUP, VERSION, CERTIFICATES, registry=registry)
    async def certificate_event(event: Mapping[str, Any], **_: Any) -> None:
        await on_certificate(controller, event["type"], event["object"])

    @kopf.on.event(GROUP, VERSION, ISSUERS, registry=registry)
    async def issuer_event(event: Mapping[str, Any], **_: Any) -> None:
        await on_issuer(controller, "Issuer", event["type"], event["object"])

    @kopf.on.event(GROUP, VERSION, CLUSTER_ISSUERS, registry=registry)
    async def cluster_issuer_event(event: Mapping[str, Any], **_: Any) -> None:
        await on_issuer(controller, "ClusterIssuer", event["type"], event["object"])

    @kopf.on.event("", "v1", "secrets", labels={MANAGED_LABEL: MANAGED_VALUE}, registry=registry)
    async def secret_event(event: Mapping[str, Any], **_: Any) -> None:
        await on_secret(controller, event["type"], event["object"])

    return registry


async def on_certificate(controller: Controller, event: str | None, body: Mapping[str, Any]) -> None:
    """Take in news about a Certificate.

    Args:
        controller: Whose stores and queue they are for.
        event: ``ADDED``, ``MODIFIED``, ``DELETED``, or None for what was there when the watch began.
        body: The object.
    """
    metadata = body["metadata"]
    key = Key("Certificate", metadata["namespace"], metadata["name"])
    before = controller.certificates.get(key)
    if event == DELETED:
        controller.certificates.remove(metadata)
        controller.certificate_gone(key, metadata["uid"])
        if before is not None:
            await _wake_claimants(controller, key.namespace, before.spec.secret_name)
        return
    try:
        news = controller.put_certificate(key, body)
    except InvalidResource as error:
        controller.put_invalid(key, body, error)
        await controller.queue.add(key)
        return
    if not news:
        return
    await controller.queue.add(key)
    if before is not None and before.spec.secret_name != body["spec"].get("secretName"):
        await _wake_claimants(controller, key.namespace, before.spec.secret_name)


async def on_issuer(controller: Controller, kind: Kind, event: str | None, body: Mapping[str, Any]) -> None:
    """Take in news about an Issuer or ClusterIssuer; a change of its status alone is none."""
    metadata = body["metadata"]
    key = Key(kind, metadata.get("namespace") or "", metadata["name"])
    if event == DELETED:
        controller.remove_issuer(key, metadata)
        await controller.queue.add(key)
        return
    try:
        issuer: Issuer | ClusterIssuer = (Issuer if kind == "Issuer" else ClusterIssuer).parse(body)
    except InvalidResource as error:
        controller.put_invalid(key, body, error)
        await controller.queue.add(key)
        return
    if controller.put_issuer(key, metadata, issuer):
        await controller.queue.add(key)


async def on_secret(controller: Controller, event: str | None, body: Mapping[str, Any]) -> None:
    """Take in news about a Secret that Certwright wrote."""
    metadata = body["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    labels = metadata.get("labels") or {}
    if event == DELETED or labels.get(MANAGED_LABEL) != MANAGED_VALUE:
        controller.secrets.remove(metadata)
    else:
        facts = await asyncio.to_thread(SecretFacts.of, body)
        if not controller.secrets.put(metadata, facts):
            return
    await _wake_claimants(controller, namespace, name)


async def on_list(
    controller: Controller, resource: str, namespace: str | None, uids: Collection[str], version: int
) -> None:
    """Take in a complete list: what it does not have any more was deleted while nobody watched.

    kopf lists anew after its watch has expired, and tells of what is there alone.

    Args:
        controller: Whose stores and queue the news are for.
        resource: Plural of what is listed.
        namespace: Of the list; None for the whole cluster.
        uids: What is in it.
        version: Its resourceVersion.
    """
    kind = KINDS[resource]
    for metadata in controller.unlisted(kind, namespace, uids, version):
        logger.info("%s was deleted while it was not watched", label(kind, metadata["namespace"], metadata["name"]))
        body = {"metadata": metadata}
        if kind == "Certificate":
            await on_certificate(controller, DELETED, body)
        elif kind == "Secret":
            await on_secret(controller, DELETED, body)
        else:
            await on_issuer(controller, kind, DELETED, body)


async def _wake_claimants(controller: Controller, namespace: str, secret_name: str) -> None:
    """Look at every Certificate that names a Secret: it has changed, or one of them has let go of it."""
    for key in controller.certificates.keys_of_secret(namespace, secret_name):
        await controller.queue.add(key)
