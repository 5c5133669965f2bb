"""Kubernetes Events, for ``kubectl describe``; best effort, and never delaying the work."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from certwright.kube.errors import KubeError, NotFound
from certwright.resources import API_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.kube.api import KubeApi
    from certwright.reasons import Reason
    from certwright.resources import Metadata

logger = logging.getLogger(__name__)

COMPONENT: Final = "certwright"
MAX_MESSAGE_CHARACTERS: Final = 1000
MAX_WAITING: Final = 1000
DRAIN_SECONDS: Final = 5.0
CLUSTER_SCOPED: Final = "default"
"""The one namespace in which the API server takes Events about objects that have none."""


@dataclass(frozen=True)
class Subject:
    """The object an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str


def subject_of(kind: str, metadata: Metadata) -> Subject:
    """Return an object of ours as the subject of an Event.

    Args:
        kind: For example ``Certificate``.
        metadata: The object's.
    """
    return Subject(
        api_version=API_VERSION,
        kind=kind,
        namespace=metadata.namespace or "",
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
    )


class EventRecorder:
    """Posts Events from a bounded queue in one background task; a full queue drops the newest and says so in the log.

    Args:
        kube_api: Where they are posted.
        drain_seconds: How long `drain` may take.
    """

    def __init__(self, kube_api: KubeApi, *, drain_seconds: float = DRAIN_SECONDS) -> None:
        self._kube_api = kube_api
        self._drain_seconds = drain_seconds
        self._waiting: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(MAX_WAITING)

    def record(
        self,
        subject: Subject,
        kind: Literal["Normal", "Warning"],
        reason: Reason,
        message: str,
        *,
        action: str = "Reconcile",
    ) -> None:
        """Queue an Event; returns at once. What went well is in the log too, as Events are gone after an hour."""
        if kind == "Normal":
            # Who records a warning has logged it.
            name = f"{subject.namespace}/{subject.name}" if subject.namespace else subject.name
            logger.info("%s %s: %s: %s", subject.kind, name, reason, message)
        namespace = subject.namespace or CLUSTER_SCOPED
        event = _manifest(subject, namespace, kind=kind, reason=reason, message=message, action=action)
        try:
            self._waiting.put_nowait((namespace, event))
        except asyncio.QueueFull:
            logger.warning("Event dropped, %d are waiting: %s %s", MAX_WAITING, reason, subject.name)

    async def run(self) -> None:
        """Post until cancelled."""
        while True:
            namespace, event = await self._waiting.get()
            await self._post(namespace, event)

    async def drain(self) -> None:
        """Post what is waiting now, for a few seconds at most: called once on the way out."""
        try:
            async with asyncio.timeout(self._drain_seconds):
                while not self._waiting.empty():
                    await self._post(*self._waiting.get_nowait())
        except TimeoutError:
            logger.warning("%d or more Events are lost: there was no time to post them", self._waiting.qsize() + 1)

    async def _post(self, namespace: str, event: Mapping[str, Any]) -> None:
        try:
            await self._kube_api.create_event(namespace, event)
        except NotFound:
            logger.debug("the namespace %s of an Event is gone", namespace)
        except KubeError as error:
            logger.log(
                logging.DEBUG if error.is_for_going_namespace else logging.WARNING,
                "an Event is lost (%s): %s",
                event["reason"],
                error,
            )


def _manifest(
    subject: Subject, namespace: str, *, kind: str, reason: Reason, message: str, action: str
) -> dict[str, Any]:
    now = dt.datetime.now(dt.UTC)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": _name(subject)},
        "involvedObject": {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "namespace": subject.namespace or None,
            "name": subject.name,
            "uid": subject.uid,
            "resourceVersion": subject.resource_version,
        },
        "type": kind,
        "reason": reason,
        "action": action,
        "message": message[:MAX_MESSAGE_CHARACTERS],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "count": 1,
    }


def _name(subject: Subject) -> str:
    """The object's name and something random, within the 253 characters of a DNS subdomain."""
    return f"{subject.name[:230].rstrip('.-')}.{secrets.token_hex(8)}"
