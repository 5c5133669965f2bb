"""OVHcloud: records through its API, one per request; a zone serves changes after a refresh."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import DnsError, InvalidCredential
from certwright.dns.hosted.answer import code_of, not_understood, refused, value_of
from certwright.dns.hosted.json_api import JsonApi, bearer, field_of, relative, segment
from certwright.dns.hosted.one_by_one import OneByOneProvider, RecordFields, ZoneFields, pace_of
from certwright.dns.hosted.text import unquoted
from certwright.dns.hosted.token import Token, TokenCache, token_from
from certwright.dns.outcomes import caught
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from certwright.dns.hosted.queue import Change
    from certwright.dns.hosted.record import FoundRecord
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.http.message import Response

    Sign = Callable[[str, str, bytes | None], Awaitable[Mapping[str, str]]]

HOSTS: Final = {
    "ovh-eu": "eu.api.ovh.com",
    "ovh-ca": "ca.api.ovh.com",
    "ovh-us": "api.us.ovhcloud.com",
    "kimsufi-eu": "eu.api.kimsufi.com",
    "kimsufi-ca": "ca.api.kimsufi.com",
    "soyoustart-eu": "eu.api.soyoustart.com",
    "soyoustart-ca": "ca.api.soyoustart.com",
}
"""By the names that OVHcloud's own clients have for them."""
TOKEN_URLS: Final = {
    "ovh-eu": "https://www.ovh.com/auth/oauth2/token",
    "ovh-ca": "https://ca.ovh.com/auth/oauth2/token",
    "ovh-us": "https://us.ovhcloud.com/auth/oauth2/token",
}
"""Where service accounts exist."""
PER_SECOND: Final = 10.0
"""What the API allows is not documented."""
CLOCK_SECONDS: Final = 3600.0
"""How long the server's clock, once read, is counted on from."""
_RIGHTS: Final = (
    "the credentials need GET /domain/zone, GET, POST and DELETE /domain/zone/<zone>/record and below, and "
    "POST /domain/zone/<zone>/refresh"
)
_NOT_ALLOWED: Final = frozenset({"NOT_CREDENTIAL", "NOT_GRANTED_CALL", "QUERY_TIME_OUT"})
"""Of errors that may come with HTTP 400: no valid key, no right, a signature that has expired."""
_RECORDS: Final = RecordFields("target", name="subDomain", kind="fieldType", read=unquoted)
_ONE: Final = "OVH needs an application key with its secret and a consumer key, or a client ID with its secret"


@dataclass(frozen=True)
class OvhConfig:
    """The configuration of OVHcloud: an application and its consumer key, or a service account.

    Attributes:
        endpoint: One of `HOSTS`.
        application_key: The key of the application.
        application_secret: Its secret.
        consumer_key: What lets the application act for an account.
        client_id: The ID of the service account.
        client_secret: Its secret.
    """

    knows_zones: ClassVar[bool] = True
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=10)
    """After a refresh its name servers take 10 s to four minutes."""

    endpoint: str
    application_key: str | None = None
    application_secret: Credential | None = field(default=None, metadata=credential("application secret"))
    consumer_key: Credential | None = field(default=None, metadata=credential("consumer key"))
    client_id: str | None = None
    client_secret: Credential | None = field(default=None, metadata=credential("client secret"))

    @property
    def destination(self) -> str:
        """The region: all accounts of one share a set of zones."""
        return HOSTS.get(self.endpoint, "")

    def build(self, context: ProviderContext) -> OvhProvider:
        """Create the provider.

        Raises:
            InvalidCredential: Something is missing, or cannot be used.
        """
        if self.endpoint not in HOSTS:
            raise InvalidCredential(f"there is no endpoint of OVH by this name: it is one of {', '.join(HOSTS)}")
        return OvhProvider(context, _Api(context, f"https://{HOSTS[self.endpoint]}/1.0", self._sign(context)))

    def _sign(self, context: ProviderContext) -> Sign:
        if self.application_key and self.application_secret is not None and self.consumer_key is not None:
            application = Credential(self.application_key, "applicationKey").printable("application key")
            secret = self.application_secret.printable("application secret")
            return Signature(
                context, HOSTS[self.endpoint], application, secret, self.consumer_key.printable("consumer key")
            )
        if self.client_id and self.client_secret is not None:
            if self.endpoint not in TOKEN_URLS:
                raise InvalidCredential(
                    f"{self.endpoint} has no service accounts: they are for {', '.join(TOKEN_URLS)}"
                )
            client = Credential(self.client_id, "clientID").printable("client ID")
            return _Tokens(context, TOKEN_URLS[self.endpoint], client, self.client_secret.printable("client secret"))
        raise InvalidCredential(_ONE)


class Signature:
    """Signs requests with the keys of an application, at the time that the server's clock shows."""

    def __init__(self, context: ProviderContext, host: str, application: str, secret: str, consumer: str) -> None:
        self._context = context
        self._url = f"https://{host}/1.0/auth/time"
        self._application, self._secret, self._consumer = application, secret, consumer
        self._clock: tuple[float, int] | None = None

    async def __call__(self, method: str, url: str, content: bytes | None) -> Mapping[str, str]:
        """Return the header fields for a request. Raises `DnsError` if the server does not say the time."""
        now = str(await self._time())
        signed = "+".join((self._secret, self._consumer, method, url, (content or b"").decode(), now))
        digest = hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest()
        return {
            "X-Ovh-Application": self._application,
            "X-Ovh-Consumer": self._consumer,
            "X-Ovh-Timestamp": now,
            "X-Ovh-Signature": f"$1${digest}",
        }

    async def _time(self) -> int:
        # Counted on by a clock that nobody sets: a wrong time of day here does no harm.
        now = self._context.monotonic()
        if self._clock is None or now - self._clock[0] > CLOCK_SECONDS:
            response = await self._context.request("GET", self._url, headers={"Accept": "application/json"})
            said = value_of(response)
            if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                raise refused(response, code_of(field_of(said, "errorCode")), _RIGHTS)
            if response.status != HTTPStatus.OK or not isinstance(said, int) or isinstance(said, bool):
                raise not_understood(response)
            self._clock = (now, said)
        return self._clock[1] + int(now - self._clock[0])


class _Tokens:
    """Gets tokens for a service account (RFC 6749 section 4.4)."""

    def __init__(self, context: ProviderContext, url: str, client: str, secret: str) -> None:
        self._context = context
        self._url = url
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": secret,
            "scope": "all",
        }
        self._tokens = TokenCache(self._fetch, monotonic=context.monotonic)

    async def __call__(self, method: str, url: str, content: bytes | None) -> Mapping[str, str]:
        """Return the header field for a request. Raises `DnsError` if there is no token."""
        del method, url, content
        return bearer(await self._tokens.get())

    async def _fetch(self) -> Token:
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        content = urlencode(self._form).encode()
        response = await self._context.request("POST", self._url, headers=headers, content=content)
        said = value_of(response)
        if response.status >= HTTPStatus.BAD_REQUEST:
            code = code_of(field_of(said, "error"))
            raise refused(response, code, "the client ID and the client secret of the service account do not fit")
        return token_from(field_of(said, "access_token"), field_of(said, "expires_in"), host=host_of(self._url))


class _Api(JsonApi):
    def __init__(self, context: ProviderContext, url: str, sign: Sign) -> None:
        super().__init__(context, url, {}, pace=pace_of(context, PER_SECOND, at_once=20), rights=_RIGHTS)
        self._sign = sign

    async def headers(self, method: str, url: str, content: bytes | None) -> Mapping[str, str]:
        return await self._sign(method, url, content)

    def code(self, answer: Any) -> object:
        return field_of(answer, "errorCode")

    def lacks_rights(self, response: Response, code: str) -> bool:
        return super().lacks_rights(response, code) or code in _NOT_ALLOWED


class OvhProvider(OneByOneProvider):
    """A `Provider` for the zones of one account."""

    whose = "the OVH account"
    rights = _RIGHTS

    def __init__(self, context: ProviderContext, api: JsonApi) -> None:
        super().__init__(context, api)
        self._served: set[str] = set()
        """Zones that were refreshed after the last change; of another process nobody knows."""
        self._changed: set[str] = set()
        """Zones that were changed since they were refreshed."""

    async def list_zones(self) -> list[HostedZone]:
        """List the zones."""
        names = await self.api.call("GET", "/domain/zone")
        listed = names if isinstance(names, list) else []
        return ZoneFields("name").among({"name": name} for name in listed if isinstance(name, str))

    async def make(self, zone: HostedZone, change: Change) -> None:
        """Make a change and have it served; what an interrupted one left unserved as well."""
        failure = await caught(super().make(zone, change))
        if zone.id in self._changed or (failure is None and zone.id not in self._served):
            await self.api.call("POST", f"{_zone(zone)}/refresh", zone=zone)
            self._changed.discard(zone.id)
            self._served.add(zone.id)
        if isinstance(failure, DnsError):
            raise failure

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names: first their IDs, then each."""
        ids = await self._ids(zone, {}) if len(names) > 1 else None
        if ids is None or len(ids) > len(names):
            ids = [one for name in names for one in await self._ids(zone, {"subDomain": relative(name, zone)})]
        items = [await self._record(zone, one) for one in ids]
        return _RECORDS.among((item for item in items if item), names, zone)

    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record."""
        body = {
            "fieldType": "TXT",
            "subDomain": relative(record.name, zone),
            "target": record.value,
            "ttl": self.ttl_of(record),
        }
        self._begin(zone)
        await self.api.call("POST", f"{_zone(zone)}/record", zone=zone, body=body)

    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record."""
        self._begin(zone)
        await self.api.call("DELETE", f"{_zone(zone)}/record/{segment(found.id)}", zone=zone)

    def _begin(self, zone: HostedZone) -> None:
        self._served.discard(zone.id)
        self._changed.add(zone.id)

    async def _ids(self, zone: HostedZone, query: Mapping[str, str]) -> list[int]:
        found = await self.api.call("GET", f"{_zone(zone)}/record", zone=zone, query={"fieldType": "TXT", **query})
        return [one for one in found if isinstance(one, int)] if isinstance(found, list) else []

    async def _record(self, zone: HostedZone, record: int) -> dict[str, Any] | None:
        found = await self.api.call("GET", f"{_zone(zone)}/record/{record}", zone=zone, may_be_gone=True)
        return found if isinstance(found, dict) else None


def _zone(zone: HostedZone) -> str:
    return f"/domain/zone/{segment(zone.name)}"
