"""The permanent DNS records of an issuer (dns-persist-01): shown in its status, published once, checked regularly.

A record belongs to the account, not to an order. With a DNS provider, it is created as soon as a Certificate needs it,
after it was recorded in the status, so that no record in the DNS is unknown. Other values at its name are never
touched, except for those that the operator created and that a new account, key or setting made useless.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import hmac
import json
import logging
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, Literal

from certwright.acme import AcmeError, base64url, dns_persist01_name
from certwright.challenges.persistent_record import SHOWN, DnsPersist01Presenter, RecordLooker, RecordTerms
from certwright.concurrency import gather_all
from certwright.dns import CnameNotAllowed, DnsError, InvalidName, TxtRecord
from certwright.failures import IssuanceError, classify
from certwright.issuers.dns_providers import patience_of
from certwright.issuers.solver_choice import choose_solver
from certwright.kube.errors import KubeError
from certwright.resources import (
    MAX_RECORDS,
    RECORDS_PUBLISHED,
    Condition,
    ConditionStatus,
    PersistentRecordStatus,
    find_condition,
)
from certwright.runtime.backoff import Backoff
from certwright.text import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from certwright.acme import AccountKey
    from certwright.dns import Propagation, Provider
    from certwright.issuers.dns_providers import DnsProviders
    from certwright.issuers.rate_limits import Asker
    from certwright.issuers.registry import ReadyIssuer
    from certwright.reasons import Reason
    from certwright.resources import Dns01, IssuerStatus
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

PURPOSE: Final = "certwright.io/v1 seal of status.persistentRecords"
MAX_ASKED: Final = 1000
"""Domains of one issuer that are remembered; those beyond are looked for, and not published. Namespaces have shares."""
SETTLED: Final = dt.timedelta(hours=6)
"""Between two looks while all is well."""
EXPIRES_SOON: Final = dt.timedelta(days=30)
MISSED: Final = dt.timedelta(minutes=1)
"""How old a look may be at least before a Certificate that misses a record has another one made."""
_SHOWABLE: Final = re.compile(r"[a-z0-9_.-]{1,255}")
_UNTIL: Final = re.compile(r"; persistUntil=([0-9]{1,18})$")
LOOK_SECONDS: Final = 60.0
"""For one look at all records of an issuer."""
AT_ONCE: Final = 16
"""Domains that are looked at at a time."""
ONE_LOOK_SECONDS: Final = 12.0
"""For one domain: the servers of one that are silent must not use up the time of all."""


@dataclass(frozen=True)
class Wanted:
    """A record that an issuer needs.

    Attributes:
        domain: Without `*.`.
        wildcard: Whether it has to cover the wildcard.
        spec: The solver.
        asked: Whether a Certificate that may request it, or the solver's selector, names the domain: only then is it
            published. What a status lists is looked at and shown.
    """

    domain: str
    wildcard: bool
    spec: Dns01
    asked: bool

    @property
    def name(self) -> str:
        """The domain, as a wildcard if its record has to cover that."""
        return f"*.{self.domain}" if self.wildcard else self.domain


@dataclass(frozen=True)
class Found:
    """What a look found.

    Attributes:
        entries: For the status.
        missing: The records that are to be published by the operator: those that are missing, and those that
            are to take the place of others.
        visible: The records that are there letter for letter, on every server that answered.
        errors: Why some could not be looked for, or not published.
        left: Whether there are further domains whose records are not known to be there.
        has_progress: Whether a record is there that was never there before.
        published: How many records are known to be there, those included that the status has no room for.
    """

    entries: tuple[PersistentRecordStatus, ...]
    missing: Mapping[PersistentRecordStatus, Wanted] = field(default_factory=dict)
    visible: frozenset[TxtRecord] = frozenset()
    errors: tuple[BaseException, ...] = ()
    left: bool = False
    has_progress: bool = False
    published: int = 0


@dataclass(frozen=True)
class Seen:
    """What was seen of one record.

    Attributes:
        want: The record.
        entry: For the status.
        exact: Whether it is there letter for letter, on every server that answered.
        error: Why nothing could be seen, or why it may not be published.
    """

    want: Wanted
    entry: PersistentRecordStatus
    exact: bool = False
    error: BaseException | None = None


@dataclass
class _Tended:
    """What is remembered of one issuer."""

    version: tuple[str, int, str, str] | None = None
    backoff: Backoff = field(default_factory=Backoff)
    trouble: str = ""
    next_look: dt.datetime | None = None
    looked: dt.datetime | None = None
    due: frozenset[TxtRecord] = frozenset()
    visible: frozenset[TxtRecord] = frozenset()
    sent: set[TxtRecord] = field(default_factory=set)
    good: dict[str, tuple[Dns01, bool]] = field(default_factory=dict)
    """Domains whose record was there when it was last looked for: for which solver, and whether for the wildcard."""
    ever: set[str] = field(default_factory=set)
    """Domains whose record has been there."""
    rounds: dict[str, int] = field(default_factory=dict)
    """In which look each domain was last looked at."""
    looks: int = 0
    ours: set[TxtRecord] = field(default_factory=set)
    asked: dict[tuple[str, Dns01], dict[Asker, None]] = field(default_factory=dict)
    news: bool = False

    def note(self, asked: tuple[str, Dns01], who: Asker) -> bool:
        """Note that a Certificate needs the record of a domain; return whether nobody did before.

        When there are too many, the namespace with the most has one less.
        """
        if asked in self.asked:
            self.asked[asked][who] = None
            return False
        if len(self.asked) >= MAX_ASKED:
            shares = Counter(map(_namespace_of, self.asked.values()))
            [(most, number)] = shares.most_common(1)
            if number <= shares[who.namespace] + 1:
                return False
            del self.asked[next(one for one in reversed(self.asked) if _namespace_of(self.asked[one]) == most)]
        self.asked[asked] = {who: None}
        return True

    def in_turns(self, selected: Iterable[tuple[str, Dns01]]) -> Iterator[tuple[str, Dns01]]:
        """Yield what selectors name and what was asked for, one of each namespace after the other.

        There is not room for all in one look: of each namespace those come first that are not known to be there, and
        of these those that were looked at longest ago.
        """
        by_namespace: dict[str, list[tuple[str, Dns01]]] = {"": list(selected)}
        for asked, askers in self.asked.items():
            by_namespace.setdefault(_namespace_of(askers), []).append(asked)
        for some in by_namespace.values():
            some.sort(key=lambda asked: (self.is_good(*asked), self.rounds.get(asked[0].removeprefix("*."), 0)))
        for turn in zip_longest(*by_namespace.values()):
            yield from (one for one in turn if one is not None)

    def is_good(self, name: str, spec: Dns01) -> bool:
        """Whether the record of a name was there when it was last looked for."""
        solver, wildcard = self.good.get(name.removeprefix("*."), (None, False))
        return solver == spec and (wildcard or not name.startswith("*."))

    def saw(self, seen: Iterable[Seen], wanted: Collection[Wanted]) -> bool:
        """Note what a look has found; return whether a record is there for the first time."""
        self.looks += 1
        known = {want.domain for want in wanted}
        self.good = {domain: one for domain, one in self.good.items() if domain in known}
        self.rounds = {domain: one for domain, one in self.rounds.items() if domain in known}
        self.ever &= known
        before = len(self.ever)
        for one in seen:
            domain = one.want.domain
            self.rounds[domain] = self.looks
            self.good.pop(domain, None)
            if one.error is None and one.entry.state == "Published":
                self.good[domain] = (one.want.spec, one.want.wildcard)
                self.ever.add(domain)
        return len(self.ever) > before


@dataclass(frozen=True)
class Outcome:
    """What became of a look.

    Attributes:
        status: The issuer's status, to be written if it differs.
        publish: Whether records are to be published once the status is written: call `publish`.
        event: What to report: type, reason, message; None for no news.
        is_published: Whether all records are there since this look, so that Certificates need not wait any more.
    """

    status: IssuerStatus
    publish: bool = False
    event: tuple[Literal["Normal", "Warning"], Reason, str] | None = None
    is_published: bool = False


class PersistentRecords:
    """Looks after the permanent records of all issuers.

    Args:
        dns_providers: Makes what looks at the DNS and what changes it.
        clock: The present time.
        wake: Called with an issuer's key when Certificates need more of it.
    """

    def __init__(
        self, dns_providers: DnsProviders, clock: Callable[[], dt.datetime], wake: Callable[[Key], object]
    ) -> None:
        self._dns_providers = dns_providers
        self._clock = clock
        self._wake = wake
        self._tended: dict[Key, _Tended] = {}

    async def presenter(self, issuer: ReadyIssuer, spec: Dns01, who: Asker) -> DnsPersist01Presenter:
        """Return what looks for the records of a Certificate.

        Raises:
            IssuanceError: The CA does not say by which name records mean it, and the solver does not either.
            DnsError: A name server of the solver is none.
            AcmeError: The CA's directory cannot be fetched.
        """
        return DnsPersist01Presenter(
            await self._looker(issuer, spec),
            ask=lambda names: self._asked(issuer.key, spec, who, names),
            miss=lambda names: self._missed(issuer.key, names),
            is_published_for_you=spec.has_provider,
            clock=self._clock,
            patience=patience_of(spec),
        )

    def forget(self, uid: str) -> None:
        """Forget what a Certificate asked for; records that are published stay."""
        for tended in self._tended.values():
            for asked, askers in list(tended.asked.items()):
                for who in [one for one in askers if one.uid == uid]:
                    del askers[who]
                if not askers:
                    del tended.asked[asked]

    def forget_issuer(self, key: Key) -> None:
        """Forget an issuer that is gone; its records stay."""
        self._tended.pop(key, None)

    async def tend(self, issuer: ReadyIssuer, status: IssuerStatus, generation: int) -> Outcome | None:
        """Look at the records of an issuer, if it is time; None if there is nothing to do now or at all.

        Args:
            issuer: The issuer.
            status: As it is.
            generation: Of its spec.
        """
        solvers = [solver for solver in issuer.spec.solvers if solver.persistent is not None]
        if not solvers:
            return self._without(issuer.key, status)
        tended, now = self._tended.setdefault(issuer.key, _Tended()), self._clock()
        version = (issuer.uid, generation, issuer.account_url, issuer.client.key.thumbprint)
        if tended.version != version:
            if tended.version is None:
                tended.ours |= _sealed(status, issuer.uid, issuer.client.key)
            tended.version, tended.news = version, True
            tended.good.clear()
        if not tended.news and tended.next_look is not None and now < tended.next_look <= now + SETTLED:
            return None
        tended.news = False
        tended.looked = now
        found = await self._look_in_time(issuer, tended, status)
        return self._outcome(issuer, tended, status, found, generation)

    def next_look(self, key: Key) -> dt.datetime | None:
        """Return when an issuer's records are looked at again; None if it has none."""
        tended = self._tended.get(key)
        return None if tended is None else tended.next_look

    async def publish(self, issuer: ReadyIssuer, status: IssuerStatus) -> None:
        """Create the missing records that the status lists as ours, and remove those that they replace.

        Call it once the status is written. Failures are told by the next look.
        """
        tended = self._tended.get(issuer.key)
        if tended is None:
            return
        listed = {one for one in status.persistent_records if one.written}
        add = [one for one in listed if _record(one) in tended.due]
        # Not by its state: what it is to take the place of may be what has been seen.
        there = {one.name for one in listed if _record(one) in tended.visible}
        gone = [one for one in listed if one.state == "Superseded" and one.name in there and self._is_free(issuer, one)]
        specs = {one.domain: one.spec for one in self._wanted(issuer, tended, status)}
        tended.trouble = ""

        def of(spec: Dns01, some: Iterable[PersistentRecordStatus]) -> list[TxtRecord]:
            return [
                replace(_record(one), zone=spec.zone, ttl=spec.ttl) for one in some if specs.get(one.domain) == spec
            ]

        with_provider = [spec for spec in dict.fromkeys(specs.values()) if spec.has_provider]
        # All at the same time: a provider that does not answer keeps no other waiting.
        await gather_all(self._change(issuer, tended, spec, of(spec, add), of(spec, gone)) for spec in with_provider)
        sent = {_record(one) for one in add}
        # What has been sent before and is still not to be seen is not sent every second.
        if not tended.trouble and (gone or sent - tended.sent):
            tended.backoff = Backoff()
            tended.next_look = self._clock() + dt.timedelta(seconds=1)
        tended.sent = sent

    async def _change(
        self, issuer: ReadyIssuer, tended: _Tended, spec: Dns01, added: list[TxtRecord], removed: list[TxtRecord]
    ) -> None:
        """Create and remove the records of one solver."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                provider = await self._dns_providers.provider(issuer, spec)
                tended.ours.update(added)
                # Both, whatever becomes of the other: the successors of what is removed are there already.
                await gather_all((provider.present(added), self._remove(tended, provider, removed)))
        except (DnsError, IssuanceError, KubeError, TimeoutError) as error:
            logger.warning("%s: its permanent records could not all be written: %s", issuer.key, error)
            tended.trouble = _words(error)

    @staticmethod
    async def _remove(tended: _Tended, provider: Provider, removed: list[TxtRecord]) -> None:
        await provider.clean_up(removed)
        tended.ours.difference_update(removed)

    def _asked(self, key: Key, spec: Dns01, who: Asker, names: Sequence[str]) -> None:
        tended = self._tended.setdefault(key, _Tended())
        for name in names:
            tended.news = tended.note((name, spec), who) or tended.news
        if tended.news:
            self._wake(key)

    def _missed(self, key: Key, names: Sequence[str]) -> None:
        """Have a look made before its time if the last one found everything: a record has gone since."""
        tended = self._tended.get(key)
        if tended is None:
            return
        for name in names:
            tended.good.pop(name.removeprefix("*."), None)
        if tended.news or tended.looked is None or tended.backoff.failures:
            return
        if tended.looked <= self._clock() < tended.looked + MISSED:
            return
        tended.news = True
        self._wake(key)

    async def _looker(self, issuer: ReadyIssuer, spec: Dns01) -> RecordLooker:
        view = self._dns_providers.view(spec)
        return RecordLooker(view, await self._terms(issuer, spec), follow_cname=spec.cname_strategy == "Follow")

    async def _terms(self, issuer: ReadyIssuer, spec: Dns01) -> RecordTerms:
        meta, persist = (await issuer.client.server.directory()).meta, spec.lasting
        name = persist.issuer_domain_name or next(iter(meta.caa_identities), None)
        if name is None:
            raise IssuanceError(
                "PersistentRecordsUnusable",
                f"{issuer.spec.server} does not say which name identifies it in DNS records (caaIdentities in its "
                "directory). Set dns01.persist.issuerDomainName of the solver.",
            )
        terms = RecordTerms(
            name,
            issuer.account_url,
            issuer.client.key.thumbprint,
            meta.account_hash_prefix,
            wildcard=persist.policy == "wildcard",
            until=persist.persist_until,
        )
        try:
            terms.value("example.com")
        except ValueError as error:
            raise IssuanceError(
                "PersistentRecordsUnusable", f"No permanent record can be written for {issuer.spec.server}: {error}."
            ) from error
        if persist.persist_until is not None and persist.persist_until <= self._clock():
            raise IssuanceError(
                "PersistentRecordsUnusable",
                f"persistUntil of a solver of {issuer.key} has passed: set a later time, or none.",
            )
        return terms

    def _wanted(self, issuer: ReadyIssuer, tended: _Tended, status: IssuerStatus) -> list[Wanted]:
        """Return what is needed: by selectors, by Certificates, and by what the status lists from earlier."""
        wanted: dict[str, Wanted] = {}

        def add(name: str, spec: Dns01, *, asked: bool) -> None:
            domain = name.removeprefix("*.")
            known = wanted.get(domain) or Wanted(domain, wildcard=False, spec=spec, asked=asked)
            wanted[domain] = replace(known, wildcard=known.wildcard or name.startswith("*."))

        selected = [
            (name, solver.persistent)
            for solver in issuer.spec.solvers
            if solver.persistent is not None and solver.selector is not None
            for name in (*solver.selector.dns_names, *solver.selector.dns_zones)
        ]
        current = {solver.persistent for solver in issuer.spec.solvers}
        for name, spec in tended.in_turns(selected):
            # A solver that has changed since: the Certificate asks again at its next renewal only.
            now = spec if spec in current else _solver_of(issuer, name)
            if now is not None:
                add(name, now, asked=True)
        for one in status.persistent_records:
            earlier = _solver_of(issuer, one.domain)
            if one.domain not in wanted and one.state != "Superseded" and earlier is not None:
                add(f"{'*.' if 'policy=wildcard' in one.value else ''}{one.domain}", earlier, asked=False)
        return list(wanted.values())

    async def _look_in_time(self, issuer: ReadyIssuer, tended: _Tended, status: IssuerStatus) -> Found:
        everything = self._wanted(issuer, tended, status)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._look(issuer, tended, status, everything)
        except TimeoutError:
            late = DnsError(f"the DNS servers of the permanent records took longer than {LOOK_SECONDS:g} s")
            return Found(status.persistent_records, errors=(late,))
        except (DnsError, IssuanceError, AcmeError, KubeError) as error:
            return Found(status.persistent_records, errors=(error,))

    async def _look(
        self, issuer: ReadyIssuer, tended: _Tended, status: IssuerStatus, everything: Sequence[Wanted]
    ) -> Found:
        wanted = everything[:MAX_RECORDS]
        lookers: dict[Dns01, RecordLooker] = {}
        errors: list[BaseException] = []
        for spec in dict.fromkeys(one.spec for one in wanted):
            try:
                lookers[spec] = await self._looker(issuer, spec)
            except (IssuanceError, DnsError) as error:
                errors.append(error)  # one solver that cannot be used keeps no other from its records
        places = asyncio.Semaphore(AT_ONCE)

        async def one(want: Wanted) -> Seen:
            async with places:
                return await self._look_at_in_time(issuer, lookers[want.spec], want)

        unknown = {want.domain for want in wanted if want.spec not in lookers}
        seen = await asyncio.gather(*(one(want) for want in wanted if want.spec in lookers))
        entries = [entry for entry in status.persistent_records if entry.domain in unknown]
        has_progress = tended.saw(seen, everything)
        missing, visible = {}, set()
        for found in seen:
            want, record = found.want, _record(found.entry)
            may_publish = found.error is None and want.spec.has_provider and want.asked and not found.exact
            to_publish = may_publish and (found.entry.state == "Missing" or self._is_better(found.entry, tended.ours))
            entry = found.entry.replace(written=to_publish or record in tended.ours)
            entries.append(entry)
            if to_publish:
                missing[entry] = want
            if found.exact:
                visible.add(record)
            if found.error is not None:
                errors.append(found.error)
        before = {entry.domain for entry in entries}
        old = [e for e in status.persistent_records if e.domain in before]
        superseded = _superseded(old, entries, tended.ours)
        looked = {*before, *(want.domain for want in wanted)}
        later = {want.domain for want in everything} - looked
        entries += [one for one in status.persistent_records if one.domain in later and one.state != "Superseded"]
        return Found(
            tuple([*entries[:MAX_RECORDS], *superseded][: 2 * MAX_RECORDS]),
            missing,
            frozenset(visible),
            errors=tuple(errors),
            left=any(not tended.is_good(want.name, want.spec) for want in everything[MAX_RECORDS:]),
            has_progress=has_progress,
            published=len(tended.good),
        )

    def _is_better(self, entry: PersistentRecordStatus, ours: Iterable[TxtRecord]) -> bool:
        """Whether a record is to be published although another one does as well now.

        That one expires soon, and this one does not; or it is ours and says what the solver no longer does, such as
        `policy=wildcard`.
        """
        if entry.state == "Expiring" and not _expires_soon(entry, self._clock()):
            return True
        return any(one.name == entry.name and one.value != entry.value for one in ours)

    async def _look_at_in_time(self, issuer: ReadyIssuer, looker: RecordLooker, want: Wanted) -> Seen:
        try:
            async with asyncio.timeout(ONE_LOOK_SECONDS):
                return await self._look_at(issuer, looker, want)
        except TimeoutError:
            entry = _entry(looker, want)
            late = DnsError(f"{entry.name}: the DNS servers took longer than {ONE_LOOK_SECONDS:g} s")
            return Seen(want, entry, error=late)

    async def _look_at(self, issuer: ReadyIssuer, looker: RecordLooker, want: Wanted) -> Seen:
        name = f"*.{want.domain}" if want.wildcard else want.domain
        value, now = looker.terms.value(name), self._clock()
        entry = PersistentRecordStatus(domain=want.domain, name=dns_persist01_name(name), value=value)
        try:
            [seen] = await looker.look([name], now)
            if not _SHOWABLE.fullmatch(seen.record.name):
                # Whoever has a domain chooses it, and a status that the API server refuses is shown to nobody.
                raise InvalidName(f"{entry.name} leads by CNAME to {seen.record.name[:300]!r}, which is no host name")
            entry = entry.replace(name=seen.record.name)
            if seen.complete:
                soon = not await self._outlives(looker, name, seen, now)
                exact = all(value in view.values for view in seen.seen if view.error is None)
                return Seen(want, entry.replace(state="Expiring" if soon else "Published"), exact=exact)
            if _says_nothing(seen):
                return Seen(want, entry, error=DnsError(f"{entry.name}: {seen.describe()}"))
            if want.spec.has_provider and want.asked:
                self._check_target(issuer, want, seen.record.name)
            return Seen(want, entry.replace(state="Missing"))
        except (DnsError, AcmeError) as error:
            return Seen(want, entry, error=error)

    async def _outlives(self, looker: RecordLooker, name: str, seen: Propagation, now: dt.datetime) -> bool:
        return all(
            any(looker.terms.allow(text, name, now + EXPIRES_SOON) for text in view.values)
            for view in seen.seen
            if view.error is None
        )

    def _check_target(self, issuer: ReadyIssuer, want: Wanted, target: str) -> None:
        owner = dns_persist01_name(want.domain)
        zones = want.spec.allowed_targets
        if target == owner or (issuer.key.kind != "ClusterIssuer" and not zones):
            return
        if not any(target == zone or target.endswith(f".{zone}") for zone in (want.domain, *zones)):
            raise CnameNotAllowed(owner, target, zones)

    def _outcome(
        self, issuer: ReadyIssuer, tended: _Tended, status: IssuerStatus, found: Found, generation: int
    ) -> Outcome:
        now = self._clock()
        tended.due, tended.visible = frozenset(map(_record, found.missing)), found.visible
        condition, event = _condition(status, found, tended.trouble, generation, now)
        settled = condition.status == "True" and not found.missing and not found.left
        if found.left and found.has_progress:
            tended.backoff = Backoff()
            tended.next_look = now + dt.timedelta(seconds=1)
        elif settled:
            tended.backoff = Backoff()
            tended.next_look = now + SETTLED
        else:
            tended.backoff = tended.backoff.failed(now)
            tended.next_look = tended.backoff.not_before
        was = find_condition(status.conditions, RECORDS_PUBLISHED)
        seal = _seal(found.entries, issuer.uid, issuer.client.key)
        status = status.with_records(found.entries, seal, condition, now)
        removable = any(one.written and one.state == "Superseded" for one in found.entries)
        return Outcome(
            status,
            publish=bool(found.missing) or removable,
            event=event,
            is_published=condition.status == "True" and (was is None or was.status != "True"),
        )

    def _without(self, key: Key, status: IssuerStatus) -> Outcome | None:
        """Take what is said of records off a status whose issuer has no such solver any more; the records stay."""
        self._tended.pop(key, None)
        if not status.persistent_records and find_condition(status.conditions, RECORDS_PUBLISHED) is None:
            return None
        return Outcome(status.without_records())

    def _is_free(self, issuer: ReadyIssuer, entry: PersistentRecordStatus) -> bool:
        """Whether no other issuer of this process has this record: two may share an account."""
        record = _record(entry)
        return not any(record in one.ours for key, one in self._tended.items() if key != issuer.key)


def _solver_of(issuer: ReadyIssuer, domain: str) -> Dns01 | None:
    """Return the solver of a domain that nobody has asked for since the start."""
    try:
        return choose_solver(issuer.spec.solvers, domain, {}).persistent
    except IssuanceError:
        return None


def _superseded(
    old: Iterable[PersistentRecordStatus], new: Sequence[PersistentRecordStatus], ours: set[TxtRecord]
) -> list[PersistentRecordStatus]:
    """Return the records that a status listed and that others have taken the place of.

    One that is ours stays in the list until it is removed, another one until its successor is published.
    """
    current = {_record(one) for one in new}
    published = {one.domain for one in new if one.state in {"Published", "Expiring"}}
    kept = {}
    for one in old:
        record = _record(one)
        if record not in current and (record in ours or one.domain not in published):
            kept[record] = one.replace(state="Superseded", written=record in ours)
    return list(kept.values())[:MAX_RECORDS]


def _condition(
    status: IssuerStatus, found: Found, trouble: str, generation: int, now: dt.datetime
) -> tuple[Condition, tuple[Literal["Normal", "Warning"], Reason, str] | None]:
    """Return the condition, and what to report if it is news."""
    missing = [one for one in found.entries if one.state == "Missing"]
    superseded = {one.domain: one for one in found.entries if one.state == "Superseded"}
    changed = [one for one in missing if one.domain in superseded]
    expiring = [one for one in found.entries if one.state == "Expiring"]
    ok: ConditionStatus = "True"
    reason: Reason = "PersistentRecordsPublished"
    message = f"{sentence(_counted(found) + ' published')}"
    if found.errors:
        failure = classify(found.errors[0], now)
        ok, reason, message = "False", failure.reason, failure.message
    elif changed:
        ok, reason = "False", "PersistentRecordsChanged"
        message = f"The account, its key or the solver has changed. {_changes(changed, superseded, found)}"
    elif missing:
        ok, reason, message = "False", "PersistentRecordMissing", _publish(missing, found)
    elif expiring:
        message += f" {_renew(expiring, found, now)}"
    if trouble and (ok == "False" or found.missing) and not found.errors:
        message += f" The last attempt to create them failed: {trouble}."
    condition = Condition(
        type=RECORDS_PUBLISHED,
        status=ok,
        reason=reason,
        message=message,
        observed_generation=generation,
    )
    was = find_condition(status.conditions, RECORDS_PUBLISHED)
    if was is not None and (was.status, was.reason, was.message) == (ok, reason, message):
        return condition, None
    if was is None and ok == "True" and not found.entries:
        return condition, None
    return condition, ("Normal" if ok == "True" and not expiring else "Warning", reason, message)


def _changes(
    changed: Sequence[PersistentRecordStatus], superseded: Mapping[str, PersistentRecordStatus], found: Found
) -> str:
    listed = "; ".join(
        f'at {one.name} replace "{superseded[one.domain].value}" by "{one.value}"' for one in changed[:SHOWN]
    )
    more = f"; and {len(changed) - SHOWN} more, which status.persistentRecords lists" if len(changed) > SHOWN else ""
    if all(one in found.missing for one in changed):
        return f"The operator replaces its permanent records: {listed}{more}."
    return f"Before the next renewal {listed}{more}."


def _publish(missing: Sequence[PersistentRecordStatus], found: Found) -> str:
    if all(one in found.missing for one in missing):
        return f"The operator creates these permanent records: {_shown(missing)}."
    return f"Publish these permanent records: {_shown([one for one in missing if one not in found.missing])}."


def _renew(expiring: Sequence[PersistentRecordStatus], found: Found, now: dt.datetime) -> str:
    """Say what to do about records that are there and expire soon."""
    said = f"They expire within {EXPIRES_SOON.days} days"
    if all(one in found.missing for one in expiring):
        return f"{said}, and the operator replaces them: {_shown(expiring)}."
    if by_hand := [one for one in expiring if one not in found.missing and not _expires_soon(one, now)]:
        return f"{said}. Publish in their place: {_shown(by_hand)}."
    return f"{said}: {_shown(expiring)}. Set a later persistUntil in the solver, or none."


def _expires_soon(entry: PersistentRecordStatus, now: dt.datetime) -> bool:
    """Whether the value that is wanted expires soon."""
    until = _UNTIL.search(entry.value)
    return until is not None and int(until[1]) < (now + EXPIRES_SOON).timestamp()


def _shown(entries: Sequence[PersistentRecordStatus]) -> str:
    listed = "; ".join(f'{one.name} TXT "{one.value}"' for one in entries[:SHOWN])
    return f"{listed}; and {len(entries) - SHOWN} more" if len(entries) > SHOWN else listed


def _counted(found: Found) -> str:
    number = max(found.published, sum(one.state in {"Published", "Expiring"} for one in found.entries))
    if not number:
        return "no domain needs a permanent record that is"
    return "1 permanent record is" if number == 1 else f"{number} permanent records are"


def _says_nothing(seen: Propagation) -> bool:
    """Whether nothing is known of a record, as no server answered."""
    return seen.error is not None or all(view.error is not None for view in seen.seen)


def _namespace_of(askers: Mapping[Asker, None]) -> str:
    """Return whose share a domain counts for: who asked first."""
    return next(iter(askers)).namespace


def _entry(looker: RecordLooker, want: Wanted) -> PersistentRecordStatus:
    return PersistentRecordStatus(
        domain=want.domain, name=dns_persist01_name(want.domain), value=looker.terms.value(want.name)
    )


def _record(entry: PersistentRecordStatus) -> TxtRecord:
    return TxtRecord(entry.name, entry.value)


def _seal(entries: Iterable[PersistentRecordStatus], uid: str, key: AccountKey) -> str | None:
    """Return a MAC over the records that the operator has created: after a restart it removes no others."""
    ours = sorted([one.name, one.value] for one in entries if one.written)
    if not ours:
        return None
    content = json.dumps([uid, ours])
    return base64url.encode(hmac.digest(key.derived_secret(PURPOSE), content.encode(), hashlib.sha256))


def _sealed(status: IssuerStatus, uid: str, key: AccountKey) -> set[TxtRecord]:
    """Return the records of a status that the operator has created, if its seal shows that."""
    seal = _seal(status.persistent_records, uid, key)
    if seal is None or status.persistent_records_seal is None:
        return set()
    if not hmac.compare_digest(seal, status.persistent_records_seal):
        return set()
    return {_record(one) for one in status.persistent_records if one.written}


def _words(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)[:300]
