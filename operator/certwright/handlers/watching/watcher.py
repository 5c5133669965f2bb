"""Runs kopf's watches, and reports their health.

The handlers are low-level ``on.event`` handlers: kopf keeps no annotations, no finalizers and no per-object daemons for
us.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import kopf

from certwright.handlers.watching.crds import Crds
from certwright.handlers.watching.health import Watches
from certwright.handlers.watching.rewinds import Rewinds
from certwright.handlers.watching.session import Login
from certwright.handlers.watching.settings import kopf_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from certwright.kube.client import KubeClient
    from certwright.kube.credentials import Credentials
    from certwright.kube.resource import Resource

    OnEvent = Callable[[Resource, str | None, Mapping[str, Any]], Awaitable[None]]
    OnList = Callable[[Resource, str | None, set[str], int], Awaitable[None]]


class Watcher:
    """Watches resources.

    Args:
        resources: What to watch.
        client: Asks whether the resources of our CRDs are served, whoever leads.
        namespaces: Where to watch, patterns are allowed; empty for the whole cluster.
        credentials: Those of our own client from a kubeconfig; None for the pod's service account.
        on_event: Called with the resource, the type of the event (None for what was there when the watch began) and the
            object.
        on_list: Called with each list that has arrived completely: the resource, the namespace or None, the UIDs in it
            and its resourceVersion.
        latest: Returns the newest version that is known of a resource in a namespace, or everywhere.
        on_rewind: Called with the resource and the namespace or None when the API server's versions went back.
        on_failure: Called with the resource's plural and the HTTP status ("none" without an answer) of each failed
            request.

    Attributes:
        started: Set once kopf has set its signal handlers and watches.
    """

    def __init__(
        self,
        resources: Sequence[Resource],
        *,
        client: KubeClient,
        namespaces: Sequence[str],
        credentials: Credentials | None,
        on_event: OnEvent,
        on_list: OnList,
        latest: Callable[[Resource, str | None], int],
        on_rewind: Callable[[Resource, str | None], None],
        on_failure: Callable[[str, str], None],
    ) -> None:
        self._resources = resources
        self._namespaces = namespaces
        self._watches = Watches(
            resources,
            on_list=on_list,
            on_failure=on_failure,
            latest=latest,
            on_rewind=on_rewind,
            rewinds=Rewinds(client),
        )
        self._crds = Crds(client, self._watches)
        self._registry = make_registry(resources, on_event)
        login = Login(self._watches, credentials)
        kopf.on.login(registry=self._registry, errors=kopf.ErrorsMode.PERMANENT)(login.log_in)
        self._stop = asyncio.Event()
        self._are_served = False
        self.started = asyncio.Event()

    @property
    def complete(self) -> asyncio.Event:
        """Set once the first list of everything has arrived."""
        return self._watches.complete

    @property
    def trouble(self) -> str | None:
        """What is not seen and why, for the user; None if everything is watched."""
        return self._watches.trouble

    def watching(self, resource: Resource) -> bool:
        """Whether everything of a resource is seen."""
        return self._watches.watching(resource)

    async def run(self) -> None:
        """Watch, once there is something to watch, until told to stop.

        At its end kopf cancels every task of the loop that it did not find when it began.
        """
        await self._crds.wait_served()
        self._are_served = True
        await kopf.operator(
            registry=self._registry,
            settings=kopf_settings(self._resources),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=list(self._namespaces),
            ready_flag=self.started,
            stop_flag=self._stop,
        )

    async def mind(self) -> None:
        """Look after CRDs that are deleted and come back, until cancelled.

        Raises:
            OperatorFailed: They are back, and kopf has not noticed.
        """
        await self._crds.mind()

    def stop(self) -> bool:
        """Let `run` end; tell whether it will, which it does not while it waits for the CRDs."""
        self._stop.set()
        return self._are_served


def make_registry(resources: Sequence[Resource], on_event: OnEvent) -> kopf.OperatorRegistry:
    """Return kopf's handlers, one for each resource."""
    registry = kopf.OperatorRegistry()
    for resource in resources:
        handle = _handler(resource, on_event)
        kopf.on.event(
            resource.group, resource.version, resource.plural, labels=dict(resource.labels) or None, registry=registry
        )(handle)
    return registry


def _handler(resource: Resource, on_event: OnEvent) -> Callable[..., Awaitable[None]]:
    async def handle(event: Mapping[str, Any], **_: Any) -> None:
        await on_event(resource, event["type"], event["object"])

    return handle
