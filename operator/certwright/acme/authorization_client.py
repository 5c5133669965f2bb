"""What one account does about its authorizations and their challenges (RFC 8555 section 7.5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from certwright.acme.account import AccountClient
from certwright.acme.authorization import Authorization, AuthorizationStatus
from certwright.acme.challenge import Challenge, ChallengeStatus, dns01_value, key_authorization
from certwright.acme.directory import offered
from certwright.acme.errors import ConnectionFailed, TimedOut
from certwright.acme.fidelity import check_authorization
from certwright.acme.fields import Fields
from certwright.acme.polling import poll

if TYPE_CHECKING:
    from collections.abc import Collection

    from certwright.acme.identifier import Identifier
    from certwright.acme.order import Order
    from certwright.http.message import Response

#: How many authorizations of an order are fetched at the same time.
MAX_CONCURRENT_FETCHES: Final = 10

#: The states in which nothing more happens to an authorization unless somebody acts (section 7.1.6).
SETTLED_AUTHORIZATION: Final = frozenset(AuthorizationStatus) - {AuthorizationStatus.PENDING}


class AuthorizationClient(AccountClient):
    """What `AccountClient` does, and everything about the proofs of control."""

    async def new_authorization(self, identifier: Identifier) -> Authorization:
        """Ask for an authorization before any order (section 7.4.1).

        Args:
            identifier: A name or an address; wildcards can only be ordered.

        Raises:
            NotOffered: The server has no pre-authorization; the large public CAs do not.
            RejectedIdentifier: The CA does not issue for the name.
        """
        directory = await self.server.directory()
        url = offered(directory.new_authz, "newAuthz", directory)
        response = await self._post("newAuthz", url, {"identifier": identifier.to_json()}, repeatable=False)
        return Authorization.parse(
            response, self._location(response), self.server.urls, retry_after=self._retry_after(response)
        )

    async def deactivate_authorization(self, authorization: Authorization) -> Authorization:
        """Give a valid authorization up, so that nobody who gets hold of the account can use it (section 7.5.2).

        Leave a pending one alone, although the RFC allows it: Boulder counts it as a failed validation, which is
        rationed, and it expires by itself. So only a valid one is accepted here.

        Raises:
            ValueError: The authorization is not `valid`.
        """
        if authorization.status is not AuthorizationStatus.VALID:
            raise ValueError(f"only a valid authorization is given up; this one is {authorization.status}")
        response = await self._post("authorization", authorization.url, {"status": "deactivated"})
        return Authorization.parse(response, authorization.url, self.server.urls)

    async def fetch_authorization(self, url: str) -> Authorization:
        """Read an authorization."""
        response = await self._post("authorization", url, None)
        return Authorization.parse(response, url, self.server.urls, retry_after=self._retry_after(response))

    async def fetch_authorizations(self, order: Order) -> tuple[Authorization, ...]:
        """Read all authorizations of an order together, in the order of `order.authorization_urls`.

        Raises:
            MalformedResponse: Among other things: one is for a name that is not in the order.
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
        return tuple(task.result() for task in tasks)

    async def answer_challenge(self, challenge: Challenge) -> Challenge:
        """Tell the server that the challenge can be validated now (section 7.5.1).

        If the answer is lost, the challenge itself is looked at, and answered again only if it is still `pending`:
        a second answer may cost another attempt.

        Returns:
            The challenge as the server last showed it.
        """
        try:
            return await self._answer_once(challenge)
        except (ConnectionFailed, TimedOut) as error:
            if isinstance(error, ConnectionFailed) and not error.request_sent:
                raise
            seen = await self.fetch_challenge(challenge.url)
            return await self._answer_once(seen) if seen.status is ChallengeStatus.PENDING else seen

    async def fetch_challenge(self, url: str) -> Challenge:
        """Read a challenge."""
        return self._challenge(await self._post("challenge", url, None))

    async def _answer_once(self, challenge: Challenge) -> Challenge:
        return self._challenge(await self._post("challenge", challenge.url, {}, repeatable=False))

    def _challenge(self, response: Response) -> Challenge:
        fields = Fields.of(response, "the challenge", self.server.urls)
        return Challenge.parse(fields, retry_after=self._retry_after(response))

    async def poll_authorization(
        self,
        authorization: Authorization,
        *,
        until: Collection[str] = SETTLED_AUTHORIZATION,
        timeout: float = 60.0,  # noqa: ASYNC109 - it bounds many requests and the waits between them
    ) -> Authorization:
        """Look at an authorization until it is in one of the states; see `poll_order`.

        Raises:
            PollTimedOut: None of the states came in time, or the server asks to wait beyond it.
        """

        async def look(last: Authorization) -> Authorization:
            return await self.fetch_authorization(last.url)

        return await poll(authorization, look, until=frozenset(until), timeout=timeout, clock=self.server.clock)

    def key_authorization(self, token: str) -> str:
        """Return what http-01 serves for a token (section 8.1)."""
        return key_authorization(token, self.key.thumbprint)

    def dns01_value(self, token: str) -> str:
        """Return the TXT value that dns-01 wants for a token (section 8.4)."""
        return dns01_value(self.key_authorization(token))
