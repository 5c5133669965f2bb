"""The issuers for Certificates: loaded with their account, or with the reason why that is not possible."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from certwright.issuers.authorities import Authority
from certwright.issuers.budgets import AccountBudget, unlimited
from certwright.issuers.rate_limits import AccountLimits
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from certwright.acme import AccountKey, Client
    from certwright.resources import AcmeIssuerSpec, AllowedDomains, Certificate


MAX_TYPES: Final = 16
"""Challenge types that are remembered of one CA, which may name any."""
MAX_TYPE: Final = 64
"""Characters of one of them."""


@dataclass(frozen=True)
class IssuerView:
    """What a Certificate needs to know of its issuer.

    Attributes:
        state: ``unknown`` until the operator has looked at it since its start.
        message: Why it is not ready, for people.
        since: Since when it has not been, as far as this process knows or found in its status; None while it is.
    """

    state: Literal["unknown", "missing", "not-ready", "ready"]
    message: str = ""
    since: dt.datetime | None = None


@dataclass(frozen=True)
class LoadedIssuer:
    """What is known of an issuer without its CA: enough to recognise its orders, and to clean up after them.

    Attributes:
        key: Its kind, namespace and name.
        uid: Of the object.
        generation: Of the spec it was loaded from.
        spec: That spec.
        account_key: Seals its orders.
        secrets_namespace: Where its credentials are read.
        account_url: The account at the CA; empty if it is not known, as it is not needed to remove anything.
        former_key: What the account key was before its last rotation: it may have sealed orders that are open still.
    """

    key: Key
    uid: str
    generation: int
    spec: AcmeIssuerSpec
    account_key: AccountKey = field(repr=False)
    secrets_namespace: str
    account_url: str = ""
    former_key: AccountKey | None = field(default=None, repr=False)

    @property
    def seal_keys(self) -> tuple[AccountKey, ...]:
        """The keys that vouch for an order, the present one first."""
        return (self.account_key,) if self.former_key is None else (self.account_key, self.former_key)


@dataclass(frozen=True)
class ReadyIssuer:
    """An issuer whose account is registered.

    Attributes:
        key: Its kind, namespace and name.
        uid: Of the object; another one may come under the same name.
        generation: Of the spec it was loaded from.
        spec: That spec.
        client: Speaks for its account.
        account_url: The account at the CA.
        allowed: Who may request which domains; None for everybody and everything.
        secrets_namespace: Where its credentials are read: its own, for a ClusterIssuer the operator's.
        limits: What the CA's rate limits leave to all who use the account.
        budget: What is left of the limits that the CA publishes.
        loads: How often this process has loaded it: more than once if it was changed, or had not been ready.
        authority: The connection; None for one that only the URL of the directory tells.
        former_servers: Directories at the same CA at which the account was used before.
        former_key: What the account key was before its last rotation, if that was lately.
    """

    key: Key
    uid: str
    generation: int
    spec: AcmeIssuerSpec
    client: Client
    account_url: str
    secrets_namespace: str
    limits: AccountLimits = field(default_factory=AccountLimits, compare=False)
    budget: AccountBudget = field(default_factory=unlimited, compare=False)
    loads: int = 1
    allowed: tuple[AllowedDomains, ...] | None = None
    authority: Authority | None = field(default=None, repr=False)
    former_servers: tuple[str, ...] = ()
    former_key: AccountKey | None = field(default=None, repr=False)

    @property
    def loaded(self) -> LoadedIssuer:
        """What of it needs no CA."""
        return LoadedIssuer(
            self.key,
            self.uid,
            self.generation,
            self.spec,
            self.client.key,
            self.secrets_namespace,
            self.account_url,
            self.former_key,
        )


SolverSource = LoadedIssuer | ReadyIssuer
"""Whose solvers and credentials may be used."""


class IssuerRegistry:
    """What is known of each issuer since the operator started.

    Args:
        clock: The present time.
    """

    def __init__(self, clock: Callable[[], dt.datetime] | None = None) -> None:
        self._clock = clock or _now
        self._ready: dict[Key, ReadyIssuer] = {}
        self._loaded: dict[Key, LoadedIssuer] = {}
        self._views: dict[Key, IssuerView] = {}
        self._challenges: dict[Key, frozenset[str]] = {}
        self._servers: dict[Key, str] = {}

    def learn_challenges(self, key: Key, types: Iterable[str]) -> None:
        """Note which challenge types an issuer's CA offers; its status shows them at its next look."""
        known = self._challenges.get(key, frozenset())
        new = sorted(one for one in set(types) - known if len(one) <= MAX_TYPE)
        self._challenges[key] = known | set(new[: MAX_TYPES - len(known)])

    def remember_challenges(self, key: Key, server: str, types: Iterable[str]) -> None:
        """Note what a CA has offered according to a status; forget what another CA of the issuer has."""
        if self._servers.get(key) != server:
            self._challenges.pop(key, None)
        self._servers[key] = server
        self.learn_challenges(key, types)

    def challenges(self, key: Key) -> frozenset[str]:
        """Return the challenge types that an issuer's CA has offered so far, as far as that is known."""
        return self._challenges.get(key, frozenset())

    def view(self, key: Key) -> IssuerView:
        """Return the state of an issuer."""
        view = self._views.get(key, IssuerView("unknown"))
        namesake = self._views.get(Key("ClusterIssuer", "", key.name))
        if view.state == "missing" and key.kind == "Issuer" and namesake is not None and namesake.state != "missing":
            return IssuerView(
                "missing",
                f"{key} does not exist. There is a ClusterIssuer of that name: to use it, set spec.issuerRef.kind to "
                "ClusterIssuer.",
                view.since,
            )
        return view

    def ready(self, key: Key) -> ReadyIssuer | None:
        """Return an issuer that certificates can be ordered from, or None."""
        return self._ready.get(key)

    def loaded(self, key: Key) -> LoadedIssuer | None:
        """Return what is known of an issuer, ready or not; None if it is missing or was never loaded."""
        ready = self._ready.get(key)
        return self._loaded.get(key) if ready is None else ready.loaded

    def set_loaded(self, issuer: LoadedIssuer) -> None:
        """Keep what is known of an issuer before its CA was asked."""
        self._loaded[issuer.key] = issuer

    def set_ready(self, issuer: ReadyIssuer) -> None:
        """Make an issuer available."""
        self._ready[issuer.key] = issuer
        self._loaded.pop(issuer.key, None)
        self._views[issuer.key] = IssuerView("ready")

    def set_not_ready(self, key: Key, message: str, *, said_since: dt.datetime | None = None) -> None:
        """Say why an issuer is not available.

        Args:
            key: The issuer.
            message: For people.
            said_since: Since when its status says so. It counts for what this process has not looked at before, so
                that a restart does not begin the wait for another issuer anew.
        """
        ready = self._ready.pop(key, None)
        if ready is not None:
            self._loaded[key] = ready.loaded
        self._views[key] = IssuerView("not-ready", message, self._since(key, said_since))

    def set_missing(self, key: Key) -> None:
        """Say that there is no such issuer."""
        self._ready.pop(key, None)
        self._loaded.pop(key, None)
        message = f"{key} does not exist. Create it, or correct spec.issuerRef."
        self._views[key] = IssuerView("missing", message, self._since(key))
        self._challenges.pop(key, None)
        self._servers.pop(key, None)

    def sharing(self, account_url: str) -> tuple[ReadyIssuer, ...]:
        """The issuers that use an account."""
        return tuple(issuer for issuer in self._ready.values() if issuer.account_url == account_url)

    def authorities(self) -> Iterator[Authority]:
        """The CAs in use."""
        return (issuer.authority or Authority(issuer.spec.server) for issuer in self._ready.values())

    def _since(self, key: Key, said: dt.datetime | None = None) -> dt.datetime:
        known, now = self._views.get(key), self._clock()
        if known is None:
            return min(said or now, now)
        return known.since or now


def issuer_keys(certificate: Certificate) -> tuple[Key, ...]:
    """Return the keys of the issuers that a Certificate refers to, in its order of preference."""
    namespace = certificate.metadata.namespace or ""
    return tuple(key_of(one.kind, one.name, namespace) for one in certificate.spec.issuers)


def key_of(kind: str, name: str, namespace: str) -> Key:
    """Return the key of an issuer that something in a namespace refers to."""
    return Key("ClusterIssuer", "", name) if kind == "ClusterIssuer" else Key("Issuer", namespace, name)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
