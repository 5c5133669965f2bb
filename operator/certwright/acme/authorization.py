"""Authorizations and their challenges: an account's right to certificates for a domain (RFC 8555 section 7.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from certwright.acme.account import AccountClient
from certwright.acme.challenge import dns01_value, is_token, key_authorization
from certwright.acme.directory import offered
from certwright.acme.errors import (
    AcmeError,
    ConnectionFailed,
    MalformedResponse,
    ServerResponseError,
    TimedOut,
    UnsafeUrl,
)
from certwright.acme.fields import Fields, contradiction
from certwright.acme.identifier import Identifier, canonical, shown
from certwright.acme.patience import LONGEST_ASKED_PAUSE, is_unreadable, may_pass
from certwright.acme.polling import Pace, poll
from certwright.acme.problem import (
    AccountDoesNotExist,
    BadNonce,
    ProblemError,
    RateLimited,
    Unauthorized,
    UserActionRequired,
)
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from certwright.acme.problem import Problem
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

logger = logging.getLogger(__name__)

# Types whose response is derived from a token (sections 8.3, 8.4, RFC 8737, draft-ietf-acme-dns-account-label).
_WITH_TOKEN: Final = frozenset({"http-01", "dns-01", "tls-alpn-01", "dns-account-01"})

MAX_CONCURRENT_FETCHES: Final = 10
"""How many authorizations of an order are fetched at the same time."""


class ChallengeStatus(StrEnum):
    """States of a challenge (section 7.1.6)."""

    PENDING = "pending"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


@dataclass(frozen=True)
class Challenge:
    """One way to validate an identifier.

    Attributes:
        type: `dns-01`, `http-01`, `tls-alpn-01` or a type that this client does not know.
        url: Where to tell the server that it can be validated.
        status: Its state.
        token: The random part of the response in base64url, or None for types without one.
        issuer_domain_names: The names by which dns-persist-01 records mean this CA; empty for other types.
        validated: When it was validated, aware UTC, or None.
        error: Why the validation failed, or None.
        retry_after: Seconds that the server asks to wait before the next request, or None.
    """

    type: str
    url: str
    status: ChallengeStatus
    token: str | None = None
    issuer_domain_names: tuple[str, ...] = ()
    validated: datetime | None = None
    error: Problem | None = None
    retry_after: float | None = None

    @classmethod
    def parse(cls, fields: Fields, *, retry_after: float | None = None) -> Challenge:
        """Parse a challenge object.

        Raises:
            MalformedResponse: The object is not a challenge, is pending without the token that its type needs, or its
                token is not base64url: a token becomes part of a path and a record (section 8.1).
            UnsafeUrl: It contains a URL that must not be requested.
        """
        kind, status = printable(fields.text("type"), 100), fields.status(ChallengeStatus)
        token = fields.optional_text("token")
        if token is not None and not is_token(token):
            fields.fail("token", "not base64url")
        if token is None and status is ChallengeStatus.PENDING and kind in _WITH_TOKEN:
            fields.fail("token", "missing")
        return cls(
            type=kind,
            url=fields.url("url"),
            status=status,
            token=token,
            # Spelled with hyphens up to draft -01 (Pebble, Boulder), in camel case from -02 on.
            issuer_domain_names=tuple(
                name
                for member in ("issuerDomainNames", "issuer-domain-names")
                for name in fields.shown_list(member, 255)
            ),
            validated=fields.readable_instant("validated"),
            error=fields.problem("error"),
            retry_after=retry_after,
        )

    def after(self, response: Response, urls: UrlPolicy, *, retry_after: float | None) -> Challenge:
        """Return this challenge as it is after the server has accepted its answer.

        Only its state is news. Some servers send no body, or leave out what the client knows already.

        Raises:
            MalformedResponse: The body is something else than a JSON object.
        """
        if not response.body.strip():
            return replace(self, status=ChallengeStatus.PROCESSING, retry_after=retry_after)
        fields = Fields.of(response, "the challenge", urls)
        known = fields.document.get("status")
        status = fields.status(ChallengeStatus) if known else ChallengeStatus.PROCESSING
        return replace(
            self,
            status=status,
            validated=fields.readable_instant("validated"),
            error=fields.problem("error"),
            retry_after=retry_after,
        )


class AuthorizationStatus(StrEnum):
    """States of an authorization (section 7.1.6)."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Authorization:
    """The validation of one identifier.

    Attributes:
        url: Its URL.
        status: Its state; a new order may reuse `valid` authorizations of an earlier one.
        identifier: The domain or address, without `*.`.
        wildcard: Whether the order requested the wildcard of the identifier.
        challenges: The challenges, in the server's order; one valid challenge is enough.
        expires: When it expires, aware UTC, or None.
        retry_after: Seconds that the server asks to wait before the next request, or None.
        unreadable: What is wrong with challenges that are left out of `challenges`, by their type.
    """

    url: str
    status: AuthorizationStatus
    identifier: Identifier
    wildcard: bool = False
    challenges: tuple[Challenge, ...] = ()
    expires: datetime | None = None
    retry_after: float | None = None
    unreadable: Mapping[str, AcmeError] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The identifier as the order wrote it: with a leading `*.` if it is for the wildcard."""
        value = self.identifier.value
        return f"*.{value}" if self.wildcard and not value.startswith("*.") else value

    @property
    def error(self) -> Problem | None:
        """Why it is invalid: the error of the first challenge that has one."""
        return next((challenge.error for challenge in self.challenges if challenge.error is not None), None)

    def challenge(self, kind: str) -> Challenge | None:
        """Return the challenge of a type such as `dns-01`, or None if the server offers none.

        Raises:
            MalformedResponse: The server offers one that cannot be used.
            UnsafeUrl: It offers one whose URL must not be requested.
        """
        found = next((challenge for challenge in self.challenges if challenge.type == kind), None)
        if found is None and kind in self.unreadable:
            raise self.unreadable[kind]
        return found

    @classmethod
    def parse(cls, response: Response, url: str, urls: UrlPolicy, *, retry_after: float | None = None) -> Authorization:
        """Parse an authorization.

        A challenge that cannot be read is left out: only the one that is to be answered has to be sound.

        Raises:
            MalformedResponse: The body is not an authorization object.
        """
        fields = Fields.of(response, "the authorization", urls)
        child = fields.child("identifier")
        identifier = canonical(fields.fail("identifier", "missing") if child is None else child.identifier())
        challenges, unreadable = _challenges(fields)
        return cls(
            url=url,
            status=fields.status(AuthorizationStatus),
            # Some servers leave the `*.` there (section 7.1.4 does not).
            identifier=Identifier(identifier.type, identifier.value.removeprefix("*.")),
            wildcard=fields.flag("wildcard") or identifier.value.startswith("*."),
            challenges=challenges,
            expires=fields.readable_instant("expires"),
            retry_after=retry_after,
            unreadable=unreadable,
        )


def _challenges(fields: Fields) -> tuple[tuple[Challenge, ...], dict[str, AcmeError]]:
    """Return the challenges that can be read, and what is wrong with the others, by their type."""
    found: list[Challenge] = []
    unreadable: dict[str, AcmeError] = {}
    for index, item in enumerate(fields.items("challenges")):
        if not isinstance(item, Mapping):
            continue
        child = Fields(item, f"challenges[{index}] of {fields.what}", fields.source, fields.urls)
        try:
            found.append(Challenge.parse(child))
        except (MalformedResponse, UnsafeUrl) as error:
            unreadable[child.shown("type", 100) or ""] = error
    return tuple(found), unreadable


# Refusals of the account, whatever it asks for.
_NOT_ABOUT_THE_CHALLENGE: Final = (AccountDoesNotExist, BadNonce, Unauthorized, UserActionRequired)


def _may_have_arrived(error: AcmeError) -> bool:
    """Return whether a challenge has to be looked at, because its answer may have arrived: now, or before."""
    if isinstance(error, ConnectionFailed):
        return error.request_sent
    if isinstance(error, RateLimited):
        # Nothing has happened; a short limit is waited for, and a look does no harm.
        return (error.retry_after or 0.0) <= LONGEST_ASKED_PAUSE
    if isinstance(error, ProblemError):
        return not isinstance(error, _NOT_ABOUT_THE_CHALLENGE)
    return isinstance(error, TimedOut) or may_pass(error, fresh=True) or is_unreadable(error)


class Ordered(Protocol):
    """What an order says about its authorizations; `Order` is one."""

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """The domains and addresses of the order."""
        ...

    @property
    def authorization_urls(self) -> tuple[str, ...]:
        """The URLs of its authorizations."""
        ...


def check_authorization(authorization: Authorization, order: Ordered) -> None:
    """Check that an authorization is for a domain of its order or a parent of one (RFC 9444 section 4).

    A server that confuses orders is found out before a record is put into an unrelated zone.

    Raises:
        MalformedResponse: It is for another identifier.
    """
    validated = canonical(authorization.identifier)
    if not any(_covers(validated, canonical(identifier)) for identifier in order.identifiers):
        raise contradiction(
            authorization.url,
            f"the order is for {shown(order.identifiers)}, and this authorization for {shown([validated])}",
        )


def _covers(validated: Identifier, wanted: Identifier) -> bool:
    if validated.type != wanted.type:
        return False
    domain, name = validated.value.removeprefix("*."), wanted.value.removeprefix("*.")
    return name == domain or (validated.type == "dns" and name.endswith(f".{domain}"))


def with_wildcards(authorizations: Sequence[Authorization], order: Ordered) -> tuple[Authorization, ...]:
    """Return the authorizations with `wildcard` as the order has it: some servers leave it out, or always set it.

    Args:
        authorizations: All that are left of an order's.
        order: What was ordered.
    """
    ordered = {canonical(identifier) for identifier in order.identifiers}
    changed = list(authorizations)
    for identifier in dict.fromkeys(authorization.identifier for authorization in authorizations):
        plain, wildcard = identifier in ordered, Identifier(identifier.type, f"*.{identifier.value}") in ordered
        indices = [index for index, one in enumerate(authorizations) if one.identifier == identifier]
        if plain and wildcard and len(indices) > 1 and len({authorizations[index].wildcard for index in indices}) == 1:
            # What can be validated by http-01 is not the wildcard's (section 8.3).
            fileless = [index for index in indices if not _has_file(authorizations[index])]
            chosen = {(fileless or indices)[-1]}
        elif plain != wildcard:
            chosen = set(indices) if wildcard else set()
        else:
            continue
        for index in indices:
            changed[index] = replace(authorizations[index], wildcard=index in chosen)
    return tuple(changed)


def _has_file(authorization: Authorization) -> bool:
    return any(challenge.type == "http-01" for challenge in authorization.challenges)


SETTLED_AUTHORIZATION: Final = frozenset(AuthorizationStatus) - {AuthorizationStatus.PENDING}
"""The states that an authorization does not leave by itself (section 7.1.6)."""


class AuthorizationClient(AccountClient):
    """Adds authorizations and challenges to `AccountClient`."""

    async def new_authorization(self, identifier: Identifier) -> Authorization:
        """Request an authorization before any order (section 7.4.1).

        Args:
            identifier: A domain or an address; wildcards can only be ordered.

        Raises:
            NotOffered: The server has no pre-authorization; the large public CAs do not.
            RejectedIdentifier: The CA does not issue for the domain.
        """
        directory = await self.server.directory()
        url = offered(directory.new_authz, "newAuthz", directory)
        response = await self._post("newAuthz", url, {"identifier": identifier.to_json()}, repeatable=False)
        return Authorization.parse(
            response, self._location(response), self.server.urls, retry_after=self._retry_after(response)
        )

    async def deactivate_authorization(self, authorization: Authorization) -> Authorization:
        """Deactivate a valid authorization, so that a stolen account key cannot use it (section 7.5.2).

        Pending authorizations are not accepted, although the RFC allows it: Boulder counts them as failed validations,
        which are rate-limited, and they expire by themselves.

        Raises:
            ValueError: The authorization is not `valid`.
        """
        if authorization.status is not AuthorizationStatus.VALID:
            raise ValueError(f"only a valid authorization can be deactivated; this one is {authorization.status}")
        response = await self._post("authorization", authorization.url, {"status": "deactivated"})
        return Authorization.parse(response, authorization.url, self.server.urls)

    async def fetch_authorization(self, url: str) -> Authorization:
        """Fetch an authorization."""
        return await self._fetch_authorization(url)

    async def _fetch_authorization(self, url: str, *, fresh: bool = True) -> Authorization:
        # Fresh: an order or an earlier answer has named it.
        def parse(response: Response) -> Authorization:
            return Authorization.parse(response, url, self.server.urls, retry_after=self._retry_after(response))

        return await self._read("authorization", url, parse, fresh=fresh)

    async def fetch_authorizations(self, order: Ordered) -> tuple[Authorization, ...]:
        """Fetch all authorizations of an order concurrently, in the order of `order.authorization_urls`.

        Raises:
            MalformedResponse: Among other things: one is for a domain that is not in the order.
        """
        slots = asyncio.Semaphore(MAX_CONCURRENT_FETCHES)

        async def fetch(url: str) -> Authorization:
            async with slots:
                authorization = await self.fetch_authorization(url)
            check_authorization(authorization, order)
            return authorization

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(fetch(url)) for url in order.authorization_urls]
        except ExceptionGroup as failures:
            # The first failure cancelled the rest: there is one thing to report, and callers catch AcmeError.
            raise failures.exceptions[0] from None
        return with_wildcards(tuple(task.result() for task in tasks), order)

    async def fetch_readable_authorizations(
        self, order: Ordered, urls: Collection[str] | None = None
    ) -> tuple[Authorization, ...]:
        """Fetch authorizations of an order for what they say about it; leave out those that cannot be read.

        Args:
            order: The order.
            urls: Which of its authorizations; None for all.
        """
        slots = asyncio.Semaphore(MAX_CONCURRENT_FETCHES)

        async def fetch(url: str) -> Authorization | None:
            async with slots:
                try:
                    # Not fresh: one that is gone by now is not waited for.
                    authorization = await self._fetch_authorization(url, fresh=False)
                    check_authorization(authorization, order)
                except AcmeError as error:
                    logger.info("An authorization says nothing about its order: %s", error)
                    return None
            return authorization

        found = await asyncio.gather(*map(fetch, order.authorization_urls if urls is None else urls))
        return with_wildcards([one for one in found if one is not None], order)

    async def answer_challenge(self, challenge: Challenge) -> Challenge:
        """Tell the server that the challenge can be validated now (section 7.5.1).

        If the answer is lost, or the server fails, read the challenge and respond again only if it is still `pending`:
        a second response may cost another validation attempt. A server that refuses the response because it is
        validating already has got what it needs.

        Returns:
            The challenge as last seen.
        """
        patience = self.server.patience()
        repeated = False
        while True:
            try:
                return await self._answer_once(challenge)
            except (ConnectionFailed, TimedOut, ServerResponseError) as error:
                if not _may_have_arrived(error):
                    raise
                passing = may_pass(error, fresh=True) or is_unreadable(error)
                pause = patience.next_pause(error.retry_after) if passing else None
                if pause is not None:
                    await self.server.pause("challenge", pause)
                seen = await self._challenge_after(error, challenge)
                if seen.status is not ChallengeStatus.PENDING:
                    return seen
                if pause is None and (repeated or isinstance(error, ServerResponseError)):
                    raise
                repeated = True

    async def _challenge_after(self, error: AcmeError, challenge: Challenge) -> Challenge:
        """Return a challenge as it is after its answer failed with an error, which is raised if it cannot be read."""

        def parse(response: Response) -> Challenge:
            return challenge.after(response, self.server.urls, retry_after=self._retry_after(response))

        try:
            return await self._read("challenge", challenge.url, parse)
        except ServerResponseError:
            # Not every server lets a challenge be read.
            raise error from None

    async def fetch_challenge(self, url: str) -> Challenge:
        """Fetch a challenge."""

        def parse(response: Response) -> Challenge:
            fields = Fields.of(response, "the challenge", self.server.urls)
            return Challenge.parse(fields, retry_after=self._retry_after(response))

        return await self._read("challenge", url, parse)

    async def _answer_once(self, challenge: Challenge) -> Challenge:
        # Not patient: it may have arrived, so it has to be looked at first.
        response = await self._post("challenge", challenge.url, {}, repeatable=False, patient=False)
        return challenge.after(response, self.server.urls, retry_after=self._retry_after(response))

    async def poll_authorization(
        self,
        authorization: Authorization,
        *,
        until: Collection[str] = SETTLED_AUTHORIZATION,
        timeout: float = 60.0,  # noqa: ASYNC109 - it bounds many requests and the waits between them
        pace: Pace = Pace(),  # noqa: B008 - immutable
    ) -> Authorization:
        """Poll an authorization until it is in one of the states; see `poll_order`.

        Raises:
            PollTimedOut: It did not reach one of the states in time, or the server asks to wait longer.
        """

        async def look(last: Authorization) -> Authorization:
            return await self.fetch_authorization(last.url)

        return await poll(
            authorization, look, until=frozenset(until), timeout=timeout, clock=self.server.clock, pace=pace
        )

    def key_authorization(self, token: str) -> str:
        """Return the key authorization for a token, which http-01 serves (section 8.1)."""
        return key_authorization(token, self.key.thumbprint)

    def dns01_value(self, token: str) -> str:
        """Return the TXT value of dns-01 for a token (section 8.4)."""
        return dns01_value(self.key_authorization(token))
