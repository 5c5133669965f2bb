"""The DNS providers in use: one for each kind, endpoint and credential.

Issuers that name the same entry of the same Secret share a provider. It holds tokens, throttles and zone caches, so it
outlives the reconciliation that created it. A credential is read again every few seconds, and a changed credential gets
a new provider.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from certwright.challenges.dns01 import Dns01Presenter, DnsAccount01Presenter
from certwright.dns import DnsView
from certwright.dns.credential import credential_name
from certwright.dns.provider import ProviderContext
from certwright.dns.providers import AMBIENT, PROVIDERS, config_type
from certwright.dns.surroundings import Surroundings
from certwright.http.addresses import AddressPolicy
from certwright.http.transport import HttpxTransport
from certwright.issuers.ambient import AmbientPolicy
from certwright.issuers.credentials import read_credential
from certwright.issuers.dns_webhook import WebhookConfig
from certwright.issuers.host_places import MAX_REQUESTS, FairTransport, HostPlaces
from certwright.issuers.service_account_tokens import identity_token
from certwright.issuers.transports import LateTransport, Transports
from certwright.resources.dns_providers.service_account import ServiceAccountAuth
from certwright.resources.dns_providers.webhook import Webhook
from certwright.runtime.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.dns import Provider
    from certwright.dns.provider import ProviderConfig
    from certwright.dns.view import View
    from certwright.http.message import Transport
    from certwright.issuers.registry import SolverSource
    from certwright.kube.api import KubeApi
    from certwright.kube.dns_webhooks import DnsWebhookApi
    from certwright.resources import Dns01

IDLE_SECONDS: Final = 3600.0
"""A provider that no issuer has asked for in so long is dropped."""
MAX_PROVIDERS: Final = 1024
"""Beyond that, the one that was asked for least recently is dropped: it costs a log-in, not a record."""


MAX_CONNECTIONS: Final = 64
"""To resolvers over HTTPS, as many to providers, and as many to those with a caBundle, from all issuers together; eight
to one host. Of the 64, a quarter is for namespaces that have none. As many more, to hosts and in all, are opened while
others are not answered: a tenant with many namespaces may have an API that never answers for each."""
MAX_BUNDLES: Final = 16
"""So many transports with a caBundle stay open: each holds up to a megabyte."""
DEFAULT_PATIENCE: Final = dt.timedelta(minutes=2)
"""How long records are looked for, unless the solver or its provider says otherwise."""
MAX_VIEWS: Final = 256
"""Beyond that, the one that was used least recently is dropped with its cache."""


class _ViewSettings(NamedTuple):
    """Which servers a view asks."""

    resolvers: tuple[str, ...]
    authoritative: tuple[str, ...]
    views: frozenset[View]


class _ProviderKey(NamedTuple):
    """What makes two providers the same: the credentials are part of the configuration.

    A provider that knows its own zones is the same for every view: its queues and its throttle are the credential's.
    """

    kind: str
    config: ProviderConfig
    view: _ViewSettings | None


@dataclasses.dataclass
class _Pooled:
    provider: Provider
    used_at: float


class DnsProviders:
    """Hands out presenters whose provider and DNS view are shared.

    Args:
        kube_api: Where credentials are read.
        webhooks: Calls DNS webhooks.
        user_agent: For the requests to providers that speak HTTPS.
        before_send: Called before a provider is sent anything; what it raises keeps it from being sent.
        addresses: Where HTTPS connections may lead.
        ambient: Which issuers may use the credentials of the place where the operator runs.
        surroundings: That place.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        kube_api: KubeApi,
        webhooks: DnsWebhookApi,
        *,
        user_agent: str = "certwright",
        before_send: Callable[[], None] | None = None,
        addresses: AddressPolicy | None = None,
        ambient: AmbientPolicy | None = None,
        surroundings: Surroundings | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._addresses = addresses or AddressPolicy()
        self._ambient = ambient or AmbientPolicy()
        self._surroundings = surroundings or Surroundings(user_agent=user_agent)
        self._kube_api = kube_api
        self._webhooks = webhooks
        self._user_agent = user_agent
        self._before_send = before_send
        self._monotonic = monotonic
        self._pool: dict[_ProviderKey, _Pooled] = {}
        self._views: dict[_ViewSettings, DnsView] = {}
        self._places = HostPlaces(lent=MAX_REQUESTS)
        self._transport: Transport | None = None
        self._trusting: Transports[str] = Transports(self._open_trusting, most=MAX_BUNDLES)
        self._trusting_turns = _connections()
        self._resolver_transport: Transport | None = None

    def __len__(self) -> int:
        """How many providers are kept."""
        return len(self._pool)

    async def presenter(self, issuer: SolverSource, spec: Dns01) -> Dns01Presenter:
        """Return a presenter with the provider that a solver names; its credentials are read.

        Args:
            issuer: Whose solver and credentials it is.
            spec: The solver.

        Raises:
            IssuanceError: A credential is missing.
            DnsError: A server's address or a credential cannot be used.
            KubeError: A credential cannot be read.
        """
        kind, _ = spec.provider
        config = await self._config(issuer, spec)
        settings = _ViewSettings(spec.nameservers, spec.authoritative_nameservers, frozenset(spec.self_check_views))
        provider, view = self._pooled(kind, config, settings), self._view(settings)
        options: dict[str, Any] = {
            "destination": config.destination,
            "follow_cname": spec.cname_strategy == "Follow",
            "allowed_targets": _allowed_targets(issuer, spec),
            "self_check": spec.self_check,
            "patience": patience_of(spec),
            "settling": spec.propagation_wait,
            "zone": spec.zone,
            "ttl": spec.ttl,
            "keeps_values": getattr(config, "keeps_values", False),
            "needs_key_authorization": getattr(config, "needs_key_authorization", False),
        }
        if spec.challenge_type == DnsAccount01Presenter.challenge_type:
            return DnsAccount01Presenter(issuer.account_url, provider, view, **options)
        return Dns01Presenter(provider, view, **options)

    def view(self, spec: Dns01) -> DnsView:
        """Return what looks at the DNS for a solver, with or without a provider.

        Raises:
            DnsError: A server's address cannot be used.
        """
        return self._view(_settings_of(spec))

    async def provider(self, issuer: SolverSource, spec: Dns01) -> Provider:
        """Return the provider that a solver names; its credentials are read.

        Raises:
            IssuanceError: A credential is missing.
            DnsError: A server's address or a credential cannot be used.
            KubeError: A credential cannot be read.
        """
        kind, _ = spec.provider
        return self._pooled(kind, await self._config(issuer, spec), _settings_of(spec))

    def view_through(self, nameservers: tuple[str, ...]) -> DnsView:
        """Return a view through resolvers, or through the operator's own for an empty tuple. Raises `InvalidServer`."""
        return DnsView(resolvers=nameservers or None, transport=self._transport_to_resolvers, addresses=self._addresses)

    async def aclose(self) -> None:
        """Drop all providers, and close the connections that they share."""
        self._pool.clear()
        for transport in (self._transport, self._resolver_transport):
            if transport is not None:
                await transport.aclose()
        self._transport = self._resolver_transport = None
        await self._trusting.aclose()
        await self._surroundings.aclose()

    async def _config(self, issuer: SolverSource, spec: Dns01) -> ProviderConfig:
        kind, model = spec.provider
        if isinstance(model, Webhook):
            return WebhookConfig(
                group_name=model.group_name,
                solver_name=model.solver_name,
                config=model.config_json,
                resource_namespace=issuer.secrets_namespace,
                ambient=self._ambient.allows(issuer.key.kind),
                api=self._webhooks,
            )
        config = config_type(kind)
        names = {field.name: credential_name(field.metadata) for field in dataclasses.fields(config)}  # type: ignore[arg-type]  # the protocol demands a dataclass
        read = {
            name: await read_credential(
                self._kube_api, issuer, reference, field=model.credential_field(name), what=names.get(name) or name
            )
            for name, reference in model.credentials().items()
        }
        values: dict[str, Any] = {
            name: identity_token(self._kube_api, issuer, value, config.audience)  # type: ignore[attr-defined]  # of those that have such a field
            if isinstance(value, ServiceAccountAuth)
            else value
            for name, value in model.arguments(read).items()
        }
        if AMBIENT in names:
            values[AMBIENT] = self._ambient.allows(issuer.key.kind)
        return config(**values)

    def _pooled(self, kind: str, config: ProviderConfig, settings: _ViewSettings) -> Provider:
        now = self._monotonic()
        key = _ProviderKey(kind, config, None if getattr(config, "knows_zones", False) else settings)
        found = self._pool.pop(key, None)
        if found is None:
            context = ProviderContext(
                self._view(settings).find_zone,
                self._shared_transport,
                self._before_send,
                surroundings=self._surroundings,
                addresses=self._addresses,
                trusting=self._transport_trusting,
                monotonic=self._monotonic,
            )
            found = _Pooled(config.build(context), now)
        found.used_at = now
        self._pool[key] = found  # at the end: the first is the one that was used least recently
        self._evict(now)
        return found.provider

    def _view(self, settings: _ViewSettings) -> DnsView:
        view = self._views.pop(settings, None) or DnsView(
            resolvers=settings.resolvers or None,
            authoritative=settings.authoritative or None,
            views=settings.views,
            transport=self._transport_to_resolvers,
            addresses=self._addresses,
        )
        self._views[settings] = view  # at the end, as above
        while len(self._views) > MAX_VIEWS:
            del self._views[next(iter(self._views))]
        return view

    def _evict(self, now: float) -> None:
        while self._pool:
            key, oldest = next(iter(self._pool.items()))
            if len(self._pool) <= MAX_PROVIDERS and now - oldest.used_at < IDLE_SECONDS:
                return
            del self._pool[key]

    def _shared_transport(self) -> Transport:
        if self._transport is None:
            self._transport = self._new_transport(self._places, http2=False)
        return self._transport

    def _transport_trusting(self, ca_bundle: str) -> Transport:
        # Opened for a request, and closed when there are too many: whoever may write an Issuer can write a thousand.
        return FairTransport(LateTransport(ca_bundle, self._trusting), self._places, turns=self._trusting_turns)

    async def _open_trusting(self, ca_bundle: str) -> Transport:
        # Loading a bundle takes a while: other issuers need not wait for it.
        return await asyncio.to_thread(
            HttpxTransport,
            ca_bundle=ca_bundle,
            user_agent=self._user_agent,
            trust_env=True,
            before_send=self._before_send,
            addresses=self._addresses,
        )

    def _transport_to_resolvers(self) -> Transport:
        # Another one: many resolvers speak HTTP/2 only, and what asks them may not hold up what writes records.
        if self._resolver_transport is None:
            self._resolver_transport = self._new_transport(HostPlaces(), http2=True)
        return self._resolver_transport

    def _new_transport(self, places: HostPlaces, *, http2: bool) -> Transport:
        transport = HttpxTransport(
            user_agent=self._user_agent,
            trust_env=True,
            before_send=self._before_send,
            addresses=self._addresses,
            http2=http2,
            max_connections=2 * MAX_CONNECTIONS,
        )
        # A tenant's resolver that never answers must hold up neither another one nor another namespace.
        return FairTransport(transport, places, turns=_connections())


def _connections() -> Turns:
    return Turns(MAX_CONNECTIONS, kept=MAX_CONNECTIONS // 4, lent=MAX_CONNECTIONS)


def patience_of(spec: Dns01) -> dt.timedelta:
    """Return how long a solver's records are looked for: what it says, else what its provider usually takes."""
    if spec.propagation_timeout is not None:
        return spec.propagation_timeout
    kind = spec.provider[0] if spec.has_provider else ""
    usual = DEFAULT_PATIENCE
    if kind in PROVIDERS:
        usual = getattr(config_type(kind), "patience", usual)
    return max(usual, spec.propagation_wait)


def _settings_of(spec: Dns01) -> _ViewSettings:
    return _ViewSettings(spec.nameservers, spec.authoritative_nameservers, frozenset({"authoritative"}))


def _allowed_targets(issuer: SolverSource, spec: Dns01) -> tuple[str, ...] | None:
    """Return the zones that CNAMEs may lead to; None for all: the credentials of an Issuer are its tenant's own."""
    return spec.allowed_targets if spec.allowed_targets or issuer.key.kind == "ClusterIssuer" else None
