"""acme-dns: a DNS server only for challenges; each account is one name, to which a CNAME points."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import DnsError, InvalidCredential, ProviderRefused, ZoneNotFound
from certwright.dns.hosted.answer import code_of, json_of, refused
from certwright.dns.hosted.provider import HostedProvider
from certwright.dns.hosted.zones import HostedZone
from certwright.dns.records import normalise, self_and_parents
from certwright.http.url import host_of

if TYPE_CHECKING:
    from certwright.dns.hosted.queue import Change
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord

KEPT: Final = 2
"""Values that the server keeps of an account; the next one takes the place of the oldest."""
HELD_SECONDS: Final = 3600.0
"""How long a value is believed to be waited for, if nobody removes it."""
MAX_ACCOUNTS: Final = 1 << 20
"""Characters of the file with the accounts: as long as a Secret can be."""

_CHALLENGE: Final = "_acme-challenge."


@dataclass(frozen=True)
class AcmeDNSConfig:
    """The configuration of acme-dns.

    Attributes:
        host: The URL of the server's API, over HTTPS.
        account: The accounts as JSON, by the domains that they are for, as clients of acme-dns save them.
        ca_bundle: Certificates in PEM to trust in place of the public CAs.
    """

    knows_zones: ClassVar[bool] = True
    keeps_values: ClassVar[bool] = True

    host: str
    account: Credential = field(metadata=credential("acme-dns accounts"))
    ca_bundle: str | None = field(default=None, repr=False)

    @property
    def destination(self) -> str:
        """The server."""
        return host_of(self.host)

    def build(self, context: ProviderContext) -> AcmeDNSProvider:
        """Create the provider.

        Raises:
            InvalidCredential: The accounts cannot be read.
        """
        return AcmeDNSProvider(context, self.host.rstrip("/"), read_accounts(self.account), self.ca_bundle)


@dataclass(frozen=True)
class Account:
    """An account of an acme-dns server.

    Attributes:
        full_domain: The name that it is.
        subdomain: What the server calls it.
        headers: Its user name and its password.
    """

    full_domain: str
    subdomain: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)


def read_accounts(given: Credential) -> dict[str, Account]:
    """Read the accounts, by the domains that they are for: `example.com` for `*.example.com` as well.

    Raises:
        InvalidCredential: It is no JSON of accounts. Nothing of it is shown but the domains.
    """
    where = f"the acme-dns accounts{f' in {given.source}' if given.source else ''}"
    try:
        found = json.loads(given.value) if len(given.value) <= MAX_ACCOUNTS else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found:
        raise InvalidCredential(f"{where} are not a JSON object with an account for each domain")
    return dict(_account(domain, account, given.source, where) for domain, account in found.items())


def _account(domain: str, account: object, source: str, where: str) -> tuple[str, Account]:
    try:
        name = normalise(domain.removeprefix("*.").removeprefix(_CHALLENGE))
    except DnsError:
        raise InvalidCredential(f"{where} have an account for something that is not a domain") from None
    fields = account if isinstance(account, dict) else {}
    values = [fields.get(key) for key in ("fulldomain", "subdomain", "username", "password")]
    if not all(isinstance(value, str) and value for value in values):
        raise InvalidCredential(f"{where} lack fulldomain, subdomain, username or password for {name}")
    full, subdomain, user, password = map(str, values)
    try:
        full = normalise(full)
    except DnsError:
        raise InvalidCredential(f"{where} have a fulldomain for {name} that is not a domain name") from None
    headers = (
        ("X-Api-User", Credential(user, source).printable("acme-dns user name")),
        ("X-Api-Key", Credential(password, source).printable("acme-dns password")),
    )
    return name, Account(full, subdomain, headers)


class AcmeDNSProvider(HostedProvider):
    """A `Provider` for the accounts of one server: the names that CNAMEs lead to.

    The server has no way to read or to remove a value. So that repeating a value never pushes another one out, all
    values that are waited for at an account are written together, in the same order.
    """

    def __init__(
        self, context: ProviderContext, url: str, accounts: dict[str, Account], ca_bundle: str | None = None
    ) -> None:
        super().__init__()
        self._ca_bundle = ca_bundle
        self._context = context
        self._url = url
        self._accounts = accounts
        self._by_name = {account.full_domain: account for account in accounts.values()}
        self._held: dict[str, dict[str, float]] = {}

    async def find_zone(self, name: str) -> HostedZone:
        """Find the account that is a name."""
        if name not in self._by_name:
            raise self._no_cname(name, name.removeprefix(_CHALLENGE))
        return HostedZone(name, name)

    async def make(self, zone: HostedZone, change: Change) -> None:
        """Write the values of one account, after those that are still waited for."""
        now = self._context.monotonic()
        gone = {record.value for record in change.remove}
        held = {
            value: since
            for value, since in self._held.get(zone.id, {}).items()
            if value not in gone and now - since < HELD_SECONDS
        }
        self._held[zone.id] = held
        wanted = sorted({*held, *(record.value for record in change.add)})
        if not held and not change.add:
            del self._held[zone.id]
        if not change.add:
            return
        if len(wanted) > KEPT:
            raise ProviderRefused(_too_many(zone.name, change, len(wanted)), host=host_of(self._url))
        for value in wanted:
            await self._update(self._by_name[zone.id], value)
            held[value] = now

    async def zone_of(self, record: TxtRecord) -> HostedZone:
        """Find the account that is the name of a record; neither its zone nor a longer name counts here."""
        if record.name not in self._by_name:
            raise self._no_cname(record.name, record.domain or record.name.removeprefix(_CHALLENGE))
        return HostedZone(record.name, record.name)

    def _no_cname(self, name: str, domain: str) -> ZoneNotFound:
        found = next((self._accounts[one] for one in self_and_parents(domain) if one in self._accounts), None)
        if found is None:
            return ZoneNotFound(f"there is no acme-dns account for {domain}, nor for a domain above it")
        return ZoneNotFound(
            f"{name} does not lead to the acme-dns account for {domain}: create the record "
            f"{_CHALLENGE}{domain}. CNAME {found.full_domain}. (it is followed only with cnameStrategy Follow)"
        )

    async def _update(self, account: Account, value: str) -> None:
        headers = {**dict(account.headers), "Content-Type": "application/json", "Accept": "application/json"}
        content = json.dumps({"subdomain": account.subdomain, "txt": value}).encode()
        response = await self._context.request(
            "POST", f"{self._url}/update", headers=headers, content=content, ca_bundle=self._ca_bundle
        )
        if response.status == HTTPStatus.NOT_FOUND:
            raise refused(response, "", "it has no /update: check host, which must be the API of an acme-dns server")
        answer = json_of(response)
        code = code_of(answer.get("error"))
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            why = (
                f"it does not accept the user name and the password for {account.full_domain}, or its allowfrom does "
                "not have the address that Certwright connects from"
            )
            raise refused(response, code, why)
        if response.status != HTTPStatus.OK or answer.get("txt") != value:
            raise refused(response, code, _REFUSED.get(code, f"it did not write the value of {account.full_domain}"))


_REFUSED: Final[dict[str, Any]] = {
    "bad_subdomain": "the subdomain in the account is not the one of its user name",
    "bad_txt": "the value is none of a challenge, which are the only ones that acme-dns takes",
}


def _too_many(name: str, change: Change, count: int) -> str:
    domains = sorted({record.domain for record in change.add if record.domain})
    about = f" (now {', '.join(domains[:5])})" if domains else ""
    return (
        f"the acme-dns account {name} keeps {KEPT} values, and {count} are wanted at the same time{about}: give the "
        "domains accounts of their own"
    )
