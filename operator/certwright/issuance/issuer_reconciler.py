"""Issuers: one account at one CA, registered, kept up to date, and handed to the Certificates that refer to it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.acme import Client
from certwright.issuance.account_keys import obtain_account_key
from certwright.issuance.authorities import Authority
from certwright.issuance.failures import Failure, classify, setback_pause
from certwright.issuance.issuer_registry import ReadyIssuer
from certwright.issuance.profiles import directory_with_profile
from certwright.kube.errors import NotFound
from certwright.kube.events import Subject
from certwright.resources import (
    API_VERSION,
    READY,
    AcmeIssuerStatus,
    ClusterIssuer,
    Condition,
    ConditionStatus,
    Issuer,
    IssuerStatus,
    find_condition,
    set_condition,
)

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from certwright.issuance.authorities import Authorities
    from certwright.issuance.issuer_registry import IssuerRegistry
    from certwright.issuance.key import Key
    from certwright.kube.events import EventRecorder
    from certwright.kube.gateway import Gateway
    from certwright.kube.store import Store

logger = logging.getLogger(__name__)

AnyIssuer = Issuer | ClusterIssuer


@dataclass(frozen=True)
class _Account:
    client: Client
    status: AcmeIssuerStatus


class IssuerReconciler:
    """Brings one issuer to a registered account.

    Args:
        gateway: The API server.
        issuers: The watched Issuers.
        cluster_issuers: The watched ClusterIssuers.
        registry: Where ready issuers are put for Certificates to find.
        authorities: Connections to CAs.
        recorder: For Events.
        operator_namespace: Where the Secrets of ClusterIssuers are.
        wake: Called with an issuer's key when its Certificates should be looked at.
        clock: The present instant.
    """

    def __init__(
        self,
        *,
        gateway: Gateway,
        issuers: Store[Issuer],
        cluster_issuers: Store[ClusterIssuer],
        registry: IssuerRegistry,
        authorities: Authorities,
        recorder: EventRecorder,
        operator_namespace: str,
        wake: Callable[[Key], None],
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._gateway = gateway
        self._stores: dict[str, Store[Issuer] | Store[ClusterIssuer]] = {
            "Issuer": issuers,
            "ClusterIssuer": cluster_issuers,
        }
        self._registry = registry
        self._authorities = authorities
        self._recorder = recorder
        self._operator_namespace = operator_namespace
        self._wake = wake
        self._clock = clock
        self._setbacks: dict[Key, int] = {}
        self._not_before: dict[Key, tuple[int, dt.datetime]] = {}
        self._lost_accounts: set[Key] = set()

    def account_lost(self, key: Key) -> None:
        """Note that the CA does not know the account any more; the next look registers it again."""
        self._lost_accounts.add(key)
        self._registry.set_not_ready(key, "The CA does not know the account any more; it is being registered again.")

    async def reconcile(self, key: Key) -> float | None:
        """Look at an issuer; return the seconds until the next look, or None if an event will bring it."""
        issuer = await self._find(key)
        if issuer is None:
            self._forget(key)
            return None
        known = self._registry.ready(key)
        if known is not None and known.generation == issuer.metadata.generation:
            return None
        now = self._clock()
        generation, not_before = self._not_before.get(key, (0, now))
        if generation == issuer.metadata.generation and now < not_before:
            # An event, most likely about our own status: it must not cut the pause short.
            return (not_before - now).total_seconds()
        try:
            account = await self._load(key, issuer)
        except Exception as error:  # noqa: BLE001 - classified, shown in the condition, logged if it is a defect of ours
            return await self._failed(key, issuer, classify(error, now), error)
        self._setbacks.pop(key, None)
        self._not_before.pop(key, None)
        self._lost_accounts.discard(key)
        await self._succeeded(key, issuer, account)
        return None

    async def _find(self, key: Key) -> AnyIssuer | None:
        found = self._stores[key.kind].get(key.namespace, key.name)
        if found is not None:
            return found
        kind: type[AnyIssuer] = Issuer if key.kind == "Issuer" else ClusterIssuer
        body = await self._gateway.read_custom(kind.PLURAL, key.namespace or None, key.name)
        return None if body is None else kind.parse(body)

    def _forget(self, key: Key) -> None:
        self._setbacks.pop(key, None)
        self._not_before.pop(key, None)
        self._lost_accounts.discard(key)
        self._registry.set_missing(key)
        self._wake(key)

    async def _load(self, key: Key, issuer: AnyIssuer) -> _Account:
        spec = issuer.spec.acme
        account_key = await obtain_account_key(self._gateway, spec, self._secrets_namespace(key))
        server = await self._authorities.server(Authority.of(spec))
        directory = await directory_with_profile(server, spec.profile)
        terms = directory.meta.terms_of_service
        contact = (f"mailto:{spec.email}",) if spec.email else ()
        was = issuer.status.acme
        if (
            was is not None
            and was.uri is not None
            and key not in self._lost_accounts
            and (was.server, was.key_thumbprint) == (spec.server, account_key.thumbprint)
        ):
            client = Client(server, account_key, account_url=was.uri)
            if was.last_registered_email != spec.email:
                await client.update_account(contact=contact)
        else:
            client = Client(server, account_key)
            account = await client.register(contact=contact, terms_of_service_agreed=True)
            if tuple(account.contact) != contact:
                # The account was there already (HTTP 200), with another address.
                await client.update_account(contact=contact)
        return _Account(
            client,
            AcmeIssuerStatus(
                uri=client.account_url,
                server=spec.server,
                terms_of_service=terms,
                last_registered_email=spec.email,
                key_thumbprint=account_key.thumbprint,
            ),
        )

    async def _succeeded(self, key: Key, issuer: AnyIssuer, account: _Account) -> None:
        was_ready = find_condition(issuer.status.conditions, READY)
        status = self._status(
            issuer,
            account.status,
            "True",
            "AccountRegistered",
            f"The account is registered at {issuer.spec.acme.server}.",
        )
        await self._write(issuer, status)
        self._registry.set_ready(
            ReadyIssuer(
                key=key,
                generation=issuer.metadata.generation,
                spec=issuer.spec.acme,
                client=account.client,
                account_url=account.status.uri or "",
                secrets_namespace=self._secrets_namespace(key),
            )
        )
        await self._authorities.keep_only(self._registry.authorities())
        if was_ready is None or was_ready.status != "True":
            self._recorder.record(
                _subject(issuer), "Normal", "AccountRegistered", f"The account {account.status.uri} is ready."
            )
        logger.info("%s is ready: %s", key, account.status.uri)
        self._wake(key)

    async def _failed(self, key: Key, issuer: AnyIssuer, failure: Failure, error: BaseException) -> float:
        now = self._clock()
        setbacks = self._setbacks[key] = self._setbacks.get(key, 0) + 1
        next_look = max(now + setback_pause(setbacks), failure.not_before or now)
        self._not_before[key] = (issuer.metadata.generation, next_look)
        if failure.expected:
            logger.warning("%s is not ready (%s): %s", key, failure.reason, failure.message)
        else:
            logger.error("%s: an unforeseen error", key, exc_info=error)
        was = find_condition(issuer.status.conditions, READY)
        if was is None or (was.status, was.reason) != ("False", failure.reason):
            self._recorder.record(_subject(issuer), "Warning", failure.reason, failure.message)
        self._registry.set_not_ready(key, f"{key} is not ready ({failure.reason}): {failure.message}")
        message = f"{failure.message} The next try is at {next_look:%Y-%m-%dT%H:%M:%SZ}."
        status = self._status(issuer, issuer.status.acme, "False", failure.reason, message)
        await self._write(issuer, status.replace(failed_attempts=setbacks, next_attempt_time=next_look))
        self._wake(key)
        return (next_look - now).total_seconds()

    def _status(
        self, issuer: AnyIssuer, acme: AcmeIssuerStatus | None, ready: ConditionStatus, reason: str, message: str
    ) -> IssuerStatus:
        condition = Condition(
            type=READY,
            status=ready,
            reason=reason,
            message=message,
            observed_generation=issuer.metadata.generation,
        )
        return IssuerStatus(
            conditions=set_condition(issuer.status.conditions, condition, self._clock()),
            observed_generation=issuer.metadata.generation,
            acme=acme,
        )

    async def _write(self, issuer: AnyIssuer, status: IssuerStatus) -> None:
        if status == issuer.status:
            return
        metadata = issuer.metadata
        try:
            body = await self._gateway.apply_status(
                issuer.PLURAL,
                issuer.KIND,
                {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid},
                status.to_json(),
            )
        except NotFound:
            return  # deleted meanwhile; its event is on the way
        if isinstance(issuer, Issuer):
            self._stores["Issuer"].put(body["metadata"], Issuer.parse(body))  # type: ignore[arg-type]  # by kind
        else:
            self._stores["ClusterIssuer"].put(body["metadata"], ClusterIssuer.parse(body))  # type: ignore[arg-type]  # by kind

    def _secrets_namespace(self, key: Key) -> str:
        return key.namespace or self._operator_namespace


def _subject(issuer: AnyIssuer) -> Subject:
    metadata = issuer.metadata
    return Subject(
        api_version=API_VERSION,
        kind=issuer.KIND,
        namespace=metadata.namespace or "",
        name=metadata.name,
        uid=metadata.uid,
        resource_version=metadata.resource_version,
    )
