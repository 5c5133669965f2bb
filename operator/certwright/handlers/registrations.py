"""The declarations of the kinds that Certwright watches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from certwright.certificates.secret.facts import SecretFacts
from certwright.handlers.invalid import REASON
from certwright.handlers.kinds import WatchedKind
from certwright.kube.resource import CERTIFICATES, Resource
from certwright.resources import (
    MANAGED_LABEL,
    MANAGED_VALUE,
    Certificate,
    ClusterIssuer,
    Issuer,
)
from certwright.runtime.queue import Place
from certwright.runtime.result import Result
from certwright.shim.noticed import Noticed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping

    from certwright.certificates.reconciler import CertificateReconciler
    from certwright.certificates.store import Certificates
    from certwright.handlers.invalid import InvalidObject
    from certwright.issuers.circuits import Circuits
    from certwright.issuers.reconciler import IssuerReconciler
    from certwright.issuers.registry import IssuerRegistry
    from certwright.kube.store import Store
    from certwright.metrics import Metrics
    from certwright.resources import Condition
    from certwright.runtime.key import Key
    from certwright.shim.reconciler import ShimReconciler

    TellInvalid = Callable[[Resource, InvalidObject], Awaitable[None]]

AnyIssuer = TypeVar("AnyIssuer", Issuer, ClusterIssuer)

SECRETS: Final = Resource("", "v1", "secrets", "Secret", {MANAGED_LABEL: MANAGED_VALUE})
"""Those that Certwright wrote."""


def certificate_kind(
    certificates: Certificates,
    reconciler: CertificateReconciler,
    *,
    authority_of: Callable[[Key], str | None],
    metrics: Metrics,
    tell: TellInvalid,
    made_for: Callable[[Certificate | None, Certificate | None], Iterable[Key]] = lambda _before, _after: (),
) -> WatchedKind[Certificate]:
    """Return the declaration of Certificates. One that lets go of a Secret wakes the others that name it."""

    def wakes(key: Key, before: Certificate | None, after: Certificate | None) -> Iterable[Key]:
        if after is not None:
            yield key
        if before is not None and (after is None or after.spec.secret_name != before.spec.secret_name):
            yield from certificates.keys_of_secret(key.namespace, before.spec.secret_name)
        yield from made_for(before, after)

    async def reconcile(key: Key) -> Result:
        result = await reconciler.reconcile(key)
        if certificates.get(key) is not None:
            return result
        # It went while it was looked at, and may have been shown once more.
        metrics.forget(key.namespace, key.name)
        return Result.ON_EVENT

    def place(key: Key) -> Place:
        certificate = certificates.get(key)
        issuer = reconciler.issuer_in_use(certificate) if certificate is not None else None
        return Place(key.namespace, issuer, authority_of(issuer) if issuer is not None else None)

    def on_gone(key: Key, uid: str) -> None:
        reconciler.forget(key, uid)
        if certificates.get(key) is None:
            metrics.forget(key.namespace, key.name)

    async def on_invalid(_key: Key, invalid: InvalidObject) -> None:
        await tell(CERTIFICATES, invalid)

    def progress(key: Key) -> Hashable:
        certificate = certificates.get(key)
        return None if certificate is None else _progress_of(certificate)

    return WatchedKind(
        CERTIFICATES,
        parse=Certificate.parse,
        store=certificates.store,
        wakes=wakes,
        reconcile=reconcile,
        place=place,
        progress=progress,
        on_gone=on_gone,
        on_invalid=on_invalid,
    )


def issuer_kind(
    resource: Resource,
    model: type[AnyIssuer],
    store: Store[AnyIssuer],
    reconciler: IssuerReconciler,
    *,
    registry: IssuerRegistry,
    circuits: Circuits,
    authority_of: Callable[[Key], str | None],
    metrics: Metrics,
    wake_certificates: Callable[[Key], None],
    tell: TellInvalid,
    annotated: Callable[[Key], Iterable[Key]] = lambda _key: (),
) -> WatchedKind[AnyIssuer]:
    """Return the declaration of Issuers or of ClusterIssuers; a change of the status alone wakes nothing."""

    def wakes(key: Key, before: AnyIssuer | None, after: AnyIssuer | None) -> Iterable[Key]:
        if before is not None and after is not None and _version(before) == _version(after):
            return ()
        return (key, *annotated(key))

    async def reconcile(key: Key) -> Result:
        result = await reconciler.reconcile(key)
        if registry.view(key).state == "missing":
            metrics.forget_issuer(*key)
        else:
            metrics.show_issuer(*key, ready=registry.ready(key) is not None, available=circuits.is_available(key))
        return result

    async def on_invalid(key: Key, invalid: InvalidObject) -> None:
        registry.set_not_ready(key, f"{key} is not ready ({REASON}): {invalid.message}")
        metrics.show_issuer(*key, ready=False)
        wake_certificates(key)
        await tell(resource, invalid)

    def place(key: Key) -> Place:
        return Place(key.namespace, key, authority_of(key))

    def progress(key: Key) -> Hashable:
        issuer = store.get(key.namespace, key.name)
        return None if issuer is None else (_version(issuer), _said_by(issuer.status.conditions))

    return WatchedKind(
        resource,
        parse=model.parse,
        store=store,
        wakes=wakes,
        reconcile=reconcile,
        place=place,
        progress=progress,
        on_invalid=on_invalid,
    )


def secret_kind(
    secrets: Store[SecretFacts], certificates: Certificates, *, keeps: Callable[[Key], bool] = lambda _key: True
) -> WatchedKind[SecretFacts]:
    """Return the declaration of our Secrets, which wake the Certificates that name them."""

    def wakes(key: Key, _before: SecretFacts | None, _after: SecretFacts | None) -> Iterable[Key]:
        return certificates.keys_of_secret(key.namespace, key.name)

    return WatchedKind(SECRETS, parse=SecretFacts.of, keeps=keeps, parses_in_thread=True, store=secrets, wakes=wakes)


def source_kind(
    resource: Resource, reconciler: ShimReconciler, *, wants: Callable[[Mapping[str, Any]], bool]
) -> WatchedKind[Noticed]:
    """Return the declaration of Ingresses, Gateways or ListenerSets, of which only those that are wanted are kept."""

    def wakes(key: Key, before: Noticed | None, after: Noticed | None) -> Iterable[Key]:
        return () if before == after and before is not None else (key, *reconciler.at_gateway(key))

    return WatchedKind(
        resource, parse=Noticed.of, wakes=wakes, reconcile=reconciler.reconcile, wants=wants, is_foreign=True
    )


def _version(issuer: Issuer | ClusterIssuer) -> tuple[str, int]:
    return (issuer.metadata.uid, issuer.metadata.generation)


def _said_by(conditions: Iterable[Condition]) -> Hashable:
    """Return conditions without their texts and times, which change in every look that says when the next one is."""
    return tuple((one.type, one.status, one.reason) for one in conditions)


def _progress_of(certificate: Certificate) -> Hashable:
    """Return what a look at a Certificate moves on."""
    status, order = certificate.status, certificate.status.order
    steps = None
    if order is not None:
        names = tuple((one.name, one.state, one.presented) for one in order.authorizations)
        steps = (order.url, order.state, names)
    return (
        certificate.metadata.uid,
        certificate.metadata.generation,
        _said_by(status.conditions),
        status.revision,
        status.failed_attempts,
        steps,
        tuple((one.id, one.state) for one in status.requests),
    )
