"""Registers cert-manager's kinds like our own, if the operator serves them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from certwright.handlers.kinds import WatchedKind
from certwright.mirror.objects import OURS, THEIR_CERTIFICATES, THEIR_CLUSTER_ISSUERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.handlers.manager import Manager
    from certwright.kube.resource import Resource
    from certwright.kube.store import Store
    from certwright.mirror.objects import Mirrored
    from certwright.mirror.reconciler import MirrorReconciler
    from certwright.runtime.key import Key


def register_mirror(manager: Manager, reconciler: MirrorReconciler, ours: Iterable[Store[Any]]) -> None:
    """Have objects of cert-manager looked at when they change, and when ours do, by our own writes as well.

    Args:
        manager: Looks at them.
        reconciler: Serves them.
        ours: Our Certificates and issuers.
    """
    for resource in OURS:
        manager.kinds.register(mirrored_kind(resource, reconciler))
    for store in ours:
        store.listen(lambda before, after: manager.wake(*reconciler.wakes(before, after)))


def mirrored_kind(resource: Resource, reconciler: MirrorReconciler) -> WatchedKind[Mirrored]:
    """Return the declaration of a kind of cert-manager, of which an issuer wakes its Certificates."""

    def wakes(key: Key, before: Mirrored | None, after: Mirrored | None) -> Iterable[Key]:
        yield key
        known = after or before
        if known is None or resource == THEIR_CERTIFICATES:
            return
        if before is None or after is None or before.has_acme != after.has_acme:
            yield from reconciler.of_issuer(known)

    return WatchedKind(
        resource,
        parse=partial(reconciler.parse, resource),
        parses_in_thread=True,
        wakes=wakes,
        store=reconciler.stores[resource.key_kind],
        reconcile=reconciler.reconcile,
        is_foreign=True,
        is_whole=True,
        is_namespaced=resource != THEIR_CLUSTER_ISSUERS,
    )
