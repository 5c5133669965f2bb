"""The permanent record of dns-persist-01 for one account, and the presenter that looks for it.

The record is not an order's: whoever has the account's credentials publishes it once, and no order removes it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

from certwright.acme import (
    UnsupportedChallenge,
    dns_persist01_name,
    dns_persist01_value,
    hashed_account_uri,
    persistent_record_allows,
)
from certwright.challenges.dns01 import MAX_NAME_CHARACTERS, PATIENCE
from certwright.challenges.errors import PersistentRecordMissing
from certwright.dns import InvalidName, TxtRecord, normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certwright.acme import Challenge
    from certwright.challenges.presenter import PresentedObject, SelfCheckMode
    from certwright.challenges.response import ChallengeResponse
    from certwright.dns import DnsView, Propagation
    from certwright.reasons import Reason

MAX_VALUE: Final = 1024
"""Characters of a record that is asked for; an account URL has a tenth of that."""
SHOWN: Final = 5
"""Records that a message names."""


@dataclass(frozen=True)
class RecordTerms:
    """What the records of one account say.

    Attributes:
        issuer: The name by which they mean the CA.
        account_url: The account.
        thumbprint: Of its key.
        hash_prefix: What hashed account URIs begin with (draft -02); None for a CA of an earlier draft.
        wildcard: Whether all of them cover wildcards.
        until: When they expire, aware; None for never.
    """

    issuer: str
    account_url: str
    thumbprint: str
    hash_prefix: str | None = None
    wildcard: bool = False
    until: dt.datetime | None = None

    def account_uri(self, name: str) -> str:
        """Return what the record of a domain names the account by."""
        if self.hash_prefix is None:
            return self.account_url
        return hashed_account_uri(
            self.hash_prefix, domain=name, thumbprint=self.thumbprint, account_url=self.account_url
        )

    def value(self, name: str, *, wildcard: bool = False) -> str:
        """Return the value for a domain.

        Raises:
            ValueError: It would be malformed, or too long.
        """
        value = dns_persist01_value(
            self.issuer,
            self.account_uri(name),
            wildcard=self.wildcard or wildcard or name.startswith("*."),
            persist_until=self.until,
        )
        if len(value) > MAX_VALUE:
            raise ValueError(f"a dns-persist-01 record of {len(value)} characters is too long")
        return value

    def allow(self, text: str, name: str, now: dt.datetime, *, wildcard: bool = False) -> bool:
        """Return whether a value in the DNS authorizes the account for a domain."""
        return persistent_record_allows(
            text,
            issuers=[self.issuer],
            account_uri=self.account_uri(name),
            wildcard=wildcard or name.startswith("*."),
            now=now,
        )


@dataclass(frozen=True, order=True)
class PersistentRecordResponse:
    """A permanent TXT record (draft-ietf-acme-dns-persist); no order puts it in place, and none removes it.

    Attributes:
        domain: What it validates, with `*.` for a wildcard.
        value: What is asked for; a record of another text may do as well.
    """

    challenge_type: ClassVar[str] = "dns-persist-01"
    waiting_reason: ClassVar[Reason] = "WaitingForDNS"
    failure_reason: ClassVar[Reason] = "RecordNotVisible"
    warn_after: ClassVar[dt.timedelta] = dt.timedelta(seconds=10)
    advice: ClassVar[str] = "Check the zone's servers, or the solver's authoritativeNameservers and nameservers."

    domain: str
    value: str

    @property
    def location(self) -> str:
        """The name of the record, before any CNAME is followed."""
        return dns_persist01_name(self.domain)

    @property
    def title(self) -> str:
        """What it is called, for messages."""
        return f"the permanent TXT record {self.location}"

    def describe_missing(self, name: str, seen: str) -> str:
        """Say that it cannot be seen, and what was seen in its place."""
        return f"{self.location} TXT {self.value} for {name} is not visible: {seen}"


class RecordLooker:
    """Looks for the permanent records of an account, each once.

    Args:
        view: Looks at the DNS.
        terms: What they say.
        follow_cname: Whether a CNAME at the name says where a record is.
    """

    def __init__(self, view: DnsView, terms: RecordTerms, *, follow_cname: bool = True) -> None:
        self._view = view
        self.terms = terms
        self._follow_cname = follow_cname

    async def target(self, name: str) -> str:
        """Return where the record of a domain stands.

        Raises:
            InvalidName: A name is too long.
            DnsError: A CNAME chain cannot be followed.
        """
        owner = dns_persist01_name(name)
        if len(owner) > MAX_NAME_CHARACTERS:
            raise InvalidName(f"the TXT record cannot be named {owner}: the DNS allows {MAX_NAME_CHARACTERS}")
        return await self._view.follow_cname(owner) if self._follow_cname else normalise(owner)

    async def look(self, names: Sequence[str], now: dt.datetime, *, wildcard: bool = False) -> list[Propagation]:
        """Return what is seen of the record of each domain; complete if what is there authorizes the account.

        Raises:
            DnsError: A CNAME chain cannot be followed.
        """
        targets = await asyncio.gather(*map(self.target, names))
        records = [
            TxtRecord(target, self.terms.value(name, wildcard=wildcard))
            for name, target in zip(names, targets, strict=True)
        ]
        seen = await self._view.check(records)
        return [self._judged(name, one, now, wildcard=wildcard) for name, one in zip(names, seen, strict=True)]

    def _judged(self, name: str, seen: Propagation, now: dt.datetime, *, wildcard: bool) -> Propagation:
        """Return what is seen as complete only if each server that answered has a value that authorizes."""
        answered = [view for view in seen.seen if view.error is None]
        enough = bool(answered) and all(
            any(self.terms.allow(text, name, now, wildcard=wildcard) for text in view.values) for view in answered
        )
        # A record that has expired is there, letter for letter, and of no use.
        return replace(seen, complete=enough and 2 * len(answered) >= len(seen.seen))


class DnsPersist01Presenter:
    """Looks for the permanent record of each domain, before an order and before the CA is asked. It changes nothing.

    Args:
        looker: Looks at the DNS.
        ask: Told which domains need a record; whoever holds the credentials publishes what is missing.
        miss: Told which of the records that were asked for are not there.
        is_published_for_you: Whether somebody does, so that nothing need be asked of people.
        clock: The present time.
        patience: How long records are looked for once the order is placed.
    """

    challenge_type: Final = "dns-persist-01"
    destination: Final = ""
    self_check: Final[SelfCheckMode] = "required"

    def __init__(
        self,
        looker: RecordLooker,
        *,
        ask: Callable[[Sequence[str]], None],
        miss: Callable[[Sequence[str]], None],
        is_published_for_you: bool,
        clock: Callable[[], dt.datetime],
        patience: dt.timedelta = PATIENCE,
    ) -> None:
        self._looker = looker
        self._ask = ask
        self._miss = miss
        self._is_published_for_you = is_published_for_you
        self._clock = clock
        self.patience = patience
        self.settling = dt.timedelta()

    async def place(self, name: str) -> str:
        """Return the domain: the rest follows from it. Raises `DnsError`."""
        await self._looker.target(name)
        return name

    async def expect(self, names: Sequence[str]) -> None:
        """Check that each domain has its record, so that no order is placed without success.

        Raises:
            PersistentRecordMissing: One has none; says which to publish.
            DnsError: The DNS cannot be asked.
        """
        self._ask(names)
        seen = await self._looker.look(names, self._clock())
        missing = [one for one in seen if not one.complete]
        if not missing:
            return
        self._miss([name for name, one in zip(names, seen, strict=True) if not one.complete])
        # One for a domain and its wildcard: the latter's does for both.
        wanted = {one.record.name: one.record.value for one in sorted(missing, key=lambda one: len(one.record.value))}
        shown = "; ".join(f'{name} TXT "{value}"' for name, value in list(wanted.items())[:SHOWN])
        more = f"; and {len(wanted) - SHOWN} more" if len(wanted) > SHOWN else ""
        first = f"({missing[0].record.name}: {missing[0].describe()})"
        if self._is_published_for_you:
            raise PersistentRecordMissing(
                f"The DNS does not show these permanent records yet, which the issuer creates: {shown}{more} {first}. "
                "No order is placed before"
            )
        raise PersistentRecordMissing(
            f"Publish these permanent records, which then serve every renewal: {shown}{more} {first}. No order is "
            "placed before"
        )

    def respond(self, name: str, place: str, challenge: Challenge, key_authorization: str) -> ChallengeResponse:  # noqa: ARG002 - the protocol's form
        """Return the record.

        Raises:
            UnsupportedChallenge: The CA goes by another name than the records do.
        """
        names, issuer = challenge.issuer_domain_names, self._looker.terms.issuer
        if issuer.lower() not in {name.lower() for name in names}:
            kind = challenge.type
            raise UnsupportedChallenge(
                f"The CA looks for {', '.join(names[:SHOWN]) or 'no issuer'} in the {kind} record of {place}, and the "
                f"solver's records say {issuer}. Set dns01.persist.issuerDomainName of the solver",
                type=kind,
            )
        return PersistentRecordResponse(place, self._looker.terms.value(place))

    def objects_for(self, responses: Sequence[ChallengeResponse]) -> tuple[PresentedObject, ...]:  # noqa: ARG002 - the protocol's form
        """Return nothing: records are not in the cluster."""
        return ()

    async def present(self, responses: Sequence[ChallengeResponse]) -> None:
        """Do nothing: the records are there."""

    async def check(self, responses: Sequence[ChallengeResponse]) -> Sequence[Propagation]:
        """Look for each record once. Raises `DnsError`."""
        domains = [response.domain for response in responses if isinstance(response, PersistentRecordResponse)]
        if len(domains) < len(responses):
            raise AssertionError("dns-persist-01 was given a response of another kind")
        return await self._looker.look(domains, self._clock())

    async def clean_up(self, responses: Sequence[ChallengeResponse]) -> None:
        """Leave the records: they are for the next issuance too."""
