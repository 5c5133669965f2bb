"""Accounts, the requests about them, and key rollover (RFC 8555 section 7.3)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeVar

from certwright.acme.directory import offered
from certwright.acme.errors import (
    AcmeError,
    CertificateNotNamed,
    DeactivationUnconfirmed,
    MalformedResponse,
    NotOffered,
    NotRegistered,
    RolloverUnconfirmed,
)
from certwright.acme.fields import Fields, is_whole, malformed
from certwright.acme.key import compact_json, flattened
from certwright.acme.patience import UNREADABLE_TRIES
from certwright.acme.problem import AccountDoesNotExist, ProblemError, Unauthorized
from certwright.acme.server import MAX_JSON_BYTES
from certwright.http.link import links_to, parse_links, resolve
from certwright.http.retry_after import retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from certwright.acme.external_account import ExternalAccountBinding
    from certwright.acme.key import AccountKey
    from certwright.acme.server import AcmeServer
    from certwright.acme.transport import UrlPolicy
    from certwright.http.message import Response

_Parsed = TypeVar("_Parsed")

MAX_LISTED_ORDERS: Final = 1000
"""The default limit of `AccountClient.list_orders`."""


class AccountStatus(StrEnum):
    """States of an account (section 7.1.6)."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"


@dataclass(frozen=True)
class Account:
    """An account at a CA.

    Attributes:
        url: Its URL, the `kid` of every request it signs.
        status: Its state; only a `valid` one can do anything.
        contact: URLs such as `mailto:ops@example.com`; some CAs never return them.
        orders_url: Where the server lists the account's orders, or None.
        created: Whether the request created this account (201) rather than found it (200).
    """

    url: str
    status: AccountStatus
    contact: tuple[str, ...] = ()
    orders_url: str | None = None
    created: bool = False

    @classmethod
    def parse(cls, response: Response, url: str, urls: UrlPolicy, *, created: bool = False) -> Account:
        """Parse an account.

        A success without a body, or without a status, is a valid account: the requests that follow tell otherwise.

        Raises:
            MalformedResponse: The body is something else than an account object.
        """
        if not response.body.strip():
            return cls(url=url, status=AccountStatus.VALID, created=created)
        fields = Fields.of(response, "the account", urls)
        return cls(
            url=url,
            status=fields.status(AccountStatus) if fields.document.get("status") else AccountStatus.VALID,
            contact=fields.shown_list("contact"),
            # Checked when it is requested.
            orders_url=fields.readable_url("orders"),
            created=created,
        )


class HeldKey(StrEnum):
    """Which of two keys an account uses."""

    OLD = "old"
    NEW = "new"
    NEITHER = "neither"


def key_change_payload(old: AccountKey, new: AccountKey, *, account_url: str, url: str) -> dict[str, str]:
    """Return the payload of a keyChange request: a JWS by the new key over the account and the old key.

    Args:
        old: The current key; it signs the outer request.
        new: The new key.
        account_url: The account.
        url: Where the request goes.
    """
    inner = {"account": account_url, "oldKey": dict(old.jwk)}
    return flattened({"alg": new.algorithm, "jwk": dict(new.jwk), "url": url}, compact_json(inner), new.sign)


async def probe_keys(client: AccountClient, *, old: AccountKey, new: AccountKey) -> HeldKey:
    """Find out which key an account uses after a rollover whose outcome is unknown.

    Read the account with the new key, then with the old one. If the client has no account URL, look up the account of
    each key without creating one. The client does not change.

    Args:
        client: Any client at the server, with the account URL if that is known.
        old: The key before the rollover.
        new: The key that the rollover was to install.

    Raises:
        AcmeError: The server cannot be reached now, so the answer stays unknown.
    """
    for key, held in ((new, HeldKey.NEW), (old, HeldKey.OLD)):
        probe = type(client)(client.server, key, account_url=client.account_url)
        try:
            account = await (probe.find_account() if client.account_url is None else probe.fetch_account())
        except ProblemError as error:
            # Servers differ in the problem type for a signature by the wrong key: unauthorized, malformed ...
            if error.temporary:
                raise
            continue
        if not account.created:  # a server that ignores onlyReturnExisting has made another account just now
            return held
    return HeldKey.NEITHER


class AccountClient:
    """The requests of one account key about its account. `Client` adds everything else.

    Every method raises `AcmeError`: a `TransportError` if no answer came, a `ProblemError` if the server
    refused, a `MalformedResponse` if the answer is not ACME. Each method lists the errors worth handling separately.

    Attributes:
        server: The CA.
        key: The account key.
        account_url: The account, once it is known: the `kid` of every request (section 6.2). The first request that
            needs it looks it up.
    """

    def __init__(self, server: AcmeServer, key: AccountKey, *, account_url: str | None = None) -> None:
        self.server = server
        self.key = key
        self.account_url = account_url
        self._look_up: asyncio.Task[Account] | None = None

    async def register(
        self,
        *,
        contact: Sequence[str] = (),
        terms_of_service_agreed: bool = False,
        external_account_binding: ExternalAccountBinding | None = None,
    ) -> Account:
        """Create the account of this key, or return the existing one unchanged.

        Args:
            contact: URLs such as `mailto:ops@example.com`.
            terms_of_service_agreed: Whether the user agrees to the terms that the directory names.
            external_account_binding: The credentials that the CA gave its customer, if it requires them.

        Raises:
            ExternalAccountRequired: The CA requires an external account binding.
            UserActionRequired: The terms of service must be agreed to.
            TypeError: `contact` is one text, whose letters would be taken for contacts.
        """
        _check_contacts(contact)
        directory = await self.server.directory()
        payload: dict[str, Any] = {}
        if contact:
            payload["contact"] = list(contact)
        if terms_of_service_agreed:
            payload["termsOfServiceAgreed"] = True
        if external_account_binding is not None:
            payload["externalAccountBinding"] = external_account_binding.bind(self.key, url=directory.new_account)
        return await self._new_account(payload)

    async def find_account(self) -> Account:
        """Find the account of this key without creating one (section 7.3.1).

        Raises:
            AccountDoesNotExist: The key has no account.
        """
        return await self._new_account({"onlyReturnExisting": True})

    async def fetch_account(self) -> Account:
        """Fetch the account.

        Raises:
            AccountDoesNotExist: The CA does not know the account, or no longer.
        """
        return await self._post_account(None)

    async def update_account(self, *, contact: Sequence[str]) -> Account:
        """Replace the contacts of the account (section 7.3.2)."""
        _check_contacts(contact)
        return await self._post_account({"contact": list(contact)})

    async def deactivate_account(self) -> Account:
        """Deactivate the account permanently (section 7.3.6).

        Returns:
            The account, deactivated: where the server's answer shows it as before, it is looked at again.

        Raises:
            DeactivationUnconfirmed: The account is still valid.
        """
        account = await self._post_account({"status": "deactivated"})
        if account.status is not AccountStatus.DEACTIVATED:
            try:
                account = await self.fetch_account()
            except (Unauthorized, AccountDoesNotExist):
                # Section 7.3.6: nothing is answered to a deactivated account.
                return replace(account, status=AccountStatus.DEACTIVATED)
        if account.status is AccountStatus.VALID:
            raise DeactivationUnconfirmed(
                f"The server accepted the deactivation of {account.url}, but the account is still valid"
            )
        return account

    async def agree_to_terms(self) -> Account:
        """Agree to the current terms of service after they changed (section 7.3.3).

        Some CAs require a visit to `UserActionRequired.url` instead; this request then has no effect.
        """
        return await self._post_account({"termsOfServiceAgreed": True})

    async def change_key(self, new_key: AccountKey) -> None:
        """Replace the key of the account (section 7.3.5). This client signs with the new key afterwards.

        Store both keys before you call this, and keep the old one until it returns. If it does not return (a crash, a
        broken connection), the account uses one of the two; `probe_keys` finds out which.

        Raises:
            NotOffered: The server does not support key rollover.
            AccountKeyInUse: Another account has the new key.
            BadPublicKey: The server does not accept the new key.
            RolloverUnconfirmed: The server accepted the request, but the new key does not work; see above.
            TransportError: The answer was lost; see above.
        """
        directory = await self.server.directory()
        url = offered(directory.key_change, "keyChange", directory)
        payload = key_change_payload(self.key, new_key, account_url=await self._known_kid(), url=url)
        # Not repeatable: the second time the server would not know the old key, and its error would mislead.
        await self._post("keyChange", url, payload, repeatable=False, patient=False)
        try:
            # Only this confirms it: some servers answer 200 and change nothing.
            await type(self)(self.server, new_key, account_url=self._kid()).fetch_account()
        except AcmeError as error:
            raise RolloverUnconfirmed(
                f"{self._kid()} cannot be read with its new key. Keep both keys, and find out which one it uses"
            ) from error
        self.key = new_key

    async def list_orders(self, *, limit: int = MAX_LISTED_ORDERS) -> tuple[str, ...]:
        """Return the URLs of the account's orders, as the server lists them (section 7.1.2.1).

        Args:
            limit: The maximum number of URLs to return; no further page is requested then.

        Raises:
            NotOffered: The server keeps no list; Let's Encrypt does not.
            MalformedResponse: A page is not a list, or has no new order and yet links to another page: the pages are
                a loop.
        """
        account = await self.fetch_account()
        if account.orders_url is None:
            raise NotOffered(f"The server provides no list of orders for {account.url}", resource="orders")
        page: str | None = account.orders_url
        found: dict[str, None] = {}
        while page is not None and len(found) < limit:
            response = await self._post("orders", page, None)
            before = len(found)
            found |= dict.fromkeys(Fields.of(response, "the list of orders", self.server.urls).url_list("orders"))
            following = next(
                iter(links_to(parse_links(response.headers.get_all("Link"), base=response.url), "next")), None
            )
            if following is not None and len(found) == before:
                raise malformed(response, "a page of the list of orders has nothing new and links to another page")
            page = None if following is None else self.server.urls.check(following, what="the next page of orders")
        return tuple(found)[:limit]

    async def _new_account(self, payload: Mapping[str, Any]) -> Account:
        directory = await self.server.directory()
        # Repeatable: for a key that has an account the server returns that account (section 7.3).
        response = await self.server.post(
            "newAccount", directory.new_account, payload, key=self.key, kid=None, repeatable=True
        )
        url = self._location(response)
        account = Account.parse(response, url, self.server.urls, created=response.status == HTTPStatus.CREATED)
        self.account_url = url
        return account

    async def _post_account(self, payload: Mapping[str, Any] | None) -> Account:
        url = await self._known_kid()
        response = await self._post("account", url, payload)
        return Account.parse(response, url, self.server.urls)

    async def _post(
        self,
        action: str,
        url: str,
        payload: Mapping[str, Any] | None,
        *,
        repeatable: bool = True,
        accept: str = "application/json",
        max_bytes: int = MAX_JSON_BYTES,
        fresh: bool = False,
        patient: bool = True,
    ) -> Response:
        return await self.server.post(
            action,
            url,
            payload,
            key=self.key,
            kid=await self._known_kid(),
            repeatable=repeatable,
            accept=accept,
            max_bytes=max_bytes,
            fresh=fresh,
            patient=patient,
        )

    async def _read(
        self,
        action: str,
        url: str,
        parse: Callable[[Response], _Parsed],
        *,
        accept: str = "application/json",
        max_bytes: int = MAX_JSON_BYTES,
        fresh: bool = True,
    ) -> _Parsed:
        """Read a resource. If the answer is a page of a gateway or was cut off, ask again a few times.

        An order that is valid before its certificate is named is asked for as long as a refused request is repeated.
        """
        patience, unreadable = self.server.patience(), 0
        while True:
            response = await self._post(action, url, None, accept=accept, max_bytes=max_bytes, fresh=fresh)
            try:
                return parse(response)
            except MalformedResponse as error:
                pause = patience.next_pause(self._retry_after(response))
                if not isinstance(error, CertificateNotNamed):
                    unreadable += 1
                    if not fresh or unreadable > UNREADABLE_TRIES or is_whole(response, accept=accept):
                        raise
                if pause is None:
                    raise
            await self.server.pause(action, pause)

    async def _known_kid(self) -> str:
        """Return the account's URL; if it is not known, look the account of the key up, once for all callers.

        Raises:
            NotRegistered: The key has no account.
        """
        if self.account_url is None:
            if self._look_up is None:
                self._look_up = asyncio.create_task(self.find_account())
                self._look_up.add_done_callback(self._looked_up)
            try:
                await asyncio.shield(self._look_up)
            except AccountDoesNotExist as error:
                raise NotRegistered("The server has no account for this key: call register() first") from error
        return self._kid()

    def _looked_up(self, look_up: asyncio.Task[Account]) -> None:
        self._look_up = None
        if not look_up.cancelled():
            look_up.exception()  # so that asyncio does not complain if all callers were cancelled

    def _kid(self) -> str:
        if self.account_url is None:
            raise NotRegistered("The account URL is not known yet: call register() or find_account() first")
        return self.account_url

    def _location(self, response: Response) -> str:
        location = response.headers.get("Location")
        if not location:
            raise malformed(response, "the answer has no Location")
        try:
            url = resolve(response.url, location)
        except ValueError:
            raise malformed(response, "the Location of the answer is not a URL") from None
        return self.server.urls.check(url, what="the Location of the answer")

    def _retry_after(self, response: Response) -> float | None:
        return retry_after_seconds(response.headers, now=self.server.clock.now())


def _check_contacts(contact: Sequence[str]) -> None:
    if isinstance(contact, str):
        raise TypeError("contact is a list of URLs, such as ['mailto:ops@example.com'], and no single one")
