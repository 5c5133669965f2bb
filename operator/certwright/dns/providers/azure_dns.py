"""Azure DNS: record sets through the Azure Resource Manager, public or private, one set per request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urlencode

from certwright.concurrency import gather_all
from certwright.dns.credential import Credential, credential
from certwright.dns.errors import InvalidCredential, ProviderRefused, ZoneNotFound
from certwright.dns.hosted.answer import code_of, json_of, not_understood, refused, value_of
from certwright.dns.hosted.azure_token import CLOUDS, ManagedIdentity, ServicePrincipal, fetch_ambient
from certwright.dns.hosted.listing import Listing, Page, every_item
from certwright.dns.hosted.pace import Pace
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider, Swap
from certwright.dns.hosted.text import MAX_STRING
from certwright.dns.hosted.token import TokenCache
from certwright.dns.hosted.zones import HostedZone, ZoneList, label_of
from certwright.dns.records import normalise
from certwright.http.url import host_of, same_origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from certwright.dns.hosted.token import Token
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

MAX_VALUES: Final = 20
"""Values in one set."""
PAGE: Final = 100
"""Zones or sets of one page."""
PER_SECOND: Final = 2.5
"""200 changes in a minute are allowed for the sets of a subscription, and more reads."""
AT_ONCE: Final = 30
"""Requests that may go at once after a pause."""
CONCURRENT: Final = 4
"""Requests on their way at the same time."""
FEW_NAMES: Final = 4
"""So many are asked for one by one; for more all TXT sets of the zone are read, unless these are too many."""

_LOCKED: Final = "ScopeLocked"
_NO_PARENT: Final = frozenset({"ParentResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound"})


@dataclass(frozen=True)
class _Kind:
    """How the APIs of public and of private zones differ.

    Attributes:
        zones: The resource type.
        version: Of the API.
        ttl: The property that holds the TTL.
        texts: The property that holds the records.
        role: Who may change records.
        word: For messages.
    """

    zones: str
    version: str
    ttl: str
    texts: str
    role: str
    word: str


_KINDS: Final = {
    "AzurePublicZone": _Kind("dnsZones", "2018-05-01", "TTL", "TXTRecords", "DNS Zone Contributor", "public"),
    "AzurePrivateZone": _Kind(
        "privateDnsZones", "2024-06-01", "ttl", "txtRecords", "Private DNS Zone Contributor", "private"
    ),
}


@dataclass(frozen=True)
class AzureDNSConfig:
    """The configuration of Azure DNS: a service principal, or ambient credentials.

    Attributes:
        subscription_id: The subscription that has the zones.
        resource_group_name: The resource group that has the zones.
        client_id: The client ID of the service principal; None for ambient credentials.
        client_secret: Its client secret.
        tenant_id: Its tenant.
        hosted_zone_name: The zone in which all records are created; None for the one that contains them.
        environment: One of `CLOUDS`.
        managed_identity: Which of the ambient identities to use: anything with the attributes of `ManagedIdentity`, or
            a mapping with them.
        zone_type: `AzurePublicZone` or `AzurePrivateZone`.
        ambient: Whether the credentials of the place where this process runs may be used.
    """

    knows_zones: ClassVar[bool] = True

    subscription_id: str
    resource_group_name: str
    client_id: str | None = None
    client_secret: Credential | None = field(default=None, metadata=credential("client secret"))
    tenant_id: str | None = None
    hosted_zone_name: str | None = None
    environment: str = "AzurePublicCloud"
    managed_identity: Any = None
    zone_type: str = "AzurePublicZone"
    ambient: bool = False

    def __post_init__(self) -> None:
        """Copy the identity, so that equal configurations are equal."""
        given = self.managed_identity
        names = ("client_id", "resource_id", "tenant_id")
        values = given if isinstance(given, Mapping) else {name: getattr(given, name, None) for name in names}
        identity = None if given is None else ManagedIdentity(**{name: values.get(name) for name in names})
        object.__setattr__(self, "managed_identity", identity)

    @property
    def destination(self) -> str:
        """The resource group and the kind of zones: other groups may have zones of the same names."""
        place = f"{self.subscription_id}/{self.resource_group_name}/{_KINDS[self.zone_type].zones}"
        return f"{host_of(CLOUDS[self.environment].manager)}/{place.lower()}"

    def build(self, context: ProviderContext) -> AzureDNSProvider:
        """Create the provider.

        Raises:
            InvalidCredential: The client secret cannot be used, or there are no credentials.
        """
        return AzureDNSProvider(self, context, self._fetch(context))

    def _fetch(self, context: ProviderContext) -> Callable[[], Awaitable[Token]]:
        cloud = CLOUDS[self.environment]
        if self.client_id and self.client_secret is not None and self.tenant_id:
            secret = self.client_secret.printable("client secret")
            principal = ServicePrincipal(self.tenant_id, self.client_id, secret)
            return partial(principal.fetch, context, cloud)
        if self.client_id or self.client_secret is not None or self.tenant_id:
            raise InvalidCredential("Azure DNS needs clientID, clientSecretSecretRef and tenantID together")
        if self.ambient:
            return partial(fetch_ambient, context, cloud, self.managed_identity or ManagedIdentity())
        raise InvalidCredential(
            "Azure DNS needs clientID, clientSecretSecretRef and tenantID: this issuer may not use Certwright's own "
            "credentials"
        )


@dataclass(frozen=True)
class _Version:
    """A set as the API has it.

    Attributes:
        etag: Its version.
        texts: Its records, each as its character-strings.
        metadata: What others noted at it: a change replaces it all, and must not lose that.
    """

    etag: str
    texts: tuple[tuple[str, ...], ...]
    metadata: Mapping[str, Any]


class AzureDNSProvider(RecordSetProvider):
    """A `Provider` for the zones of one resource group."""

    def __init__(self, config: AzureDNSConfig, context: ProviderContext, fetch: Callable[[], Awaitable[Token]]) -> None:
        super().__init__()
        self._context = context
        self._kind = _KINDS[config.zone_type]
        self.zone_word = self._kind.word
        self._url = CLOUDS[config.environment].manager
        self.host = host_of(self._url)
        self._group = (
            f"{self._url}/subscriptions/{_segment(config.subscription_id)}/resourceGroups/"
            f"{_segment(config.resource_group_name)}"
        )
        self._tokens = TokenCache(fetch, monotonic=context.monotonic)
        self._pace = Pace(PER_SECOND, at_once=AT_ONCE, monotonic=context.monotonic, sleep=context.sleep)
        self._places = asyncio.Semaphore(CONCURRENT)
        self._named = config.hosted_zone_name and normalise(config.hosted_zone_name)
        self._rights = (
            f"the identity needs the role {self._kind.role}, on the zone if hostedZoneName names it, otherwise on the "
            f"resource group {config.resource_group_name}"
        )
        self._zones = ZoneList(
            self._list_zones,
            whose=f"the Azure resource group {config.resource_group_name}",
            hint=f"it has to be in this resource group, and {self._rights}",
            word=self.zone_word,
            monotonic=context.monotonic,
        )

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        if not self._named:
            return await self._zones.find(name)
        if name == self._named or name.endswith(f".{self._named}"):
            return HostedZone(self._named, self._named)
        raise ZoneNotFound(f"{name} is not in the zone {self._named}, which hostedZoneName names")

    async def read(self, zone: HostedZone, names: Sequence[str]) -> Iterable[RecordSet]:
        """Read the sets of TXT records at some names."""
        pages = -(-zone.size // PAGE) if zone.size is not None else 0
        if len(names) <= max(FEW_NAMES, pages):
            found = await gather_all(self._read_one(zone, name) for name in names)
            return [one for one in found if one is not None]
        url = f"{self._zone_url(zone)}/TXT"
        return [
            one
            async for item in self._pages(url, zone)
            if (one := self._record_set(item, zone)) is not None and one.name in names
        ]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Swap sets, several at a time; one that fails does not keep the others from being swapped."""
        await gather_all(self._swap_one(zone, swap) for swap in swaps)

    async def _read_one(self, zone: HostedZone, name: str) -> RecordSet | None:
        response = await self._send("GET", self._set_url(zone, name))
        answer = json_of(response)
        if response.status == HTTPStatus.OK:
            found = self._record_set(answer, zone)
            if found is None:
                raise not_understood(response)
            return found
        if response.status == HTTPStatus.NOT_FOUND and _code(answer) not in _NO_PARENT:
            return None
        raise self._refusal(response, zone)

    async def _swap_one(self, zone: HostedZone, swap: Swap) -> None:
        if swap.values:
            await self._write(zone, swap)
            return
        response = await self._send("DELETE", self._set_url(zone, swap.name), headers=_match(swap.old.version))
        if response.status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            return
        if response.status == HTTPStatus.CONFLICT and _code(_object(response)) == _LOCKED:
            # The usual lock of a zone forbids to delete anything in it, and not to change it: an empty set is not
            # served.
            await self._write(zone, swap)
            return
        raise self._refusal(response, zone)

    async def _write(self, zone: HostedZone, swap: Swap) -> None:
        texts = _texts(swap)
        if len(texts) > MAX_VALUES >= len(swap.old.values):
            raise ProviderRefused(
                f"the TXT record set {swap.name} would have {len(texts)} values, and Azure DNS allows {MAX_VALUES}: "
                f"remove some of the {len(swap.old.values)} that are there",
                host=self.host,
            )
        properties = {self._kind.ttl: swap.ttl, self._kind.texts: [{"value": list(one)} for one in texts]}
        version: _Version | None = swap.old.version
        if version is not None and version.metadata:
            properties["metadata"] = dict(version.metadata)
        response = await self._send(
            "PUT", self._set_url(zone, swap.name), headers=_match(version), body={"properties": properties}
        )
        if response.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise self._refusal(response, zone)

    async def _list_zones(self) -> list[HostedZone]:
        found = []
        async for item in self._pages(f"{self._group}/providers/Microsoft.Network/{self._kind.zones}"):
            properties = item.get("properties")
            properties = properties if isinstance(properties, dict) else {}
            name, size = item.get("name"), properties.get("numberOfRecordSets")
            # The API of public zones still lists private ones of its first years.
            if isinstance(name, str) and str(properties.get("zoneType", self._kind.word)).lower() == self._kind.word:
                name = name.rstrip(".").lower()
                found.append(HostedZone(name, name, size if isinstance(size, int) and size >= 0 else None))
        return found

    async def _pages(self, url: str, zone: HostedZone | None = None) -> AsyncIterator[dict[str, Any]]:
        first = f"{url}?{urlencode({'api-version': self._kind.version, '$top': PAGE})}"

        async def fetch(following: str) -> Page:
            response = await self._send("GET", following or first)
            if response.status != HTTPStatus.OK:
                raise self._refusal(response, zone)
            answer = json_of(response)
            link = answer.get("nextLink") or ""
            # It carries the token: it goes to no other host.
            if link and not (isinstance(link, str) and same_origin(link, self._url)):
                raise not_understood(response)
            return Page(response, answer.get("value"), link)

        async for item in every_item(fetch, Listing(label_of(zone), monotonic=self._context.monotonic)):
            if isinstance(item, dict):
                yield item

    async def _send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Response:
        content = None if body is None else json.dumps(body).encode()
        typed = {"Content-Type": "application/json"} if body is not None else {}
        if "?" not in url:
            url = f"{url}?{urlencode({'api-version': self._kind.version})}"
        async with self._places:
            for is_last in (False, True):
                token = await self._tokens.get()
                await self._pace.turn()
                sent = {"Authorization": f"Bearer {token}", "Accept": "application/json", **typed, **(headers or {})}
                response = await self._context.request(method, url, headers=sent, content=content)
                if response.status != HTTPStatus.UNAUTHORIZED or is_last:
                    break
                # Revoked, or expired by another clock.
                self._tokens.drop(token)
        return response

    def _record_set(self, item: Mapping[str, Any], zone: HostedZone) -> RecordSet | None:
        name, etag, properties = item.get("name"), item.get("etag"), item.get("properties")
        if not isinstance(name, str) or not isinstance(etag, str) or not isinstance(properties, dict):
            return None
        texts = tuple(_strings(properties.get(self._kind.texts)))
        ttl, metadata = properties.get(self._kind.ttl), properties.get("metadata")
        return RecordSet(
            zone.name if name == "@" else f"{name}.{zone.name}".lower(),
            frozenset("".join(one) for one in texts),
            ttl if isinstance(ttl, int) else None,
            _Version(etag, texts, metadata if isinstance(metadata, dict) else {}),
        )

    def _zone_url(self, zone: HostedZone) -> str:
        return f"{self._group}/providers/Microsoft.Network/{self._kind.zones}/{_segment(zone.id)}"

    def _set_url(self, zone: HostedZone, name: str) -> str:
        relative = "@" if name == zone.name else name.removesuffix(f".{zone.name}")
        return f"{self._zone_url(zone)}/TXT/{_segment(relative)}"

    def _refusal(self, response: Response, zone: HostedZone | None) -> Exception:
        code, status = _code(_object(response)), response.status
        about = f", for {zone.name}" if zone is not None else ""
        if status == HTTPStatus.PRECONDITION_FAILED and zone is not None:
            return Outdated()
        if status < HTTPStatus.BAD_REQUEST:
            return not_understood(response)
        if status == HTTPStatus.UNAUTHORIZED:
            return refused(response, code, f"it does not accept the access token{about}: check environment and tenant")
        if status == HTTPStatus.FORBIDDEN:
            return refused(response, code, f"{self._rights}{about}")
        if status == HTTPStatus.NOT_FOUND:
            what = f"the {self._kind.word} zone {zone.name}" if zone is not None else "the resource group"
            return refused(response, code, f"{what} is not there; check subscriptionID and resourceGroupName")
        if code == _LOCKED:
            return refused(response, code, f"a read-only lock forbids changes{about}: remove it")
        if status == HTTPStatus.CONFLICT:
            return refused(
                response, code, f"something else is at that name{about}, such as a CNAME, or the zone is busy"
            )
        return refused(response, code, f"the request{about} is not one that it takes")


def _texts(swap: Swap) -> list[tuple[str, ...]]:
    """Return the records of the new set: others' stay as they are written."""
    version: _Version | None = swap.old.version
    kept = [one for one in version.texts if "".join(one) in swap.values] if version is not None else []
    there = {"".join(one) for one in kept}
    added = [value for value in swap.values if value not in there]
    return kept + [
        tuple(value[start : start + MAX_STRING] for start in range(0, len(value) or 1, MAX_STRING)) for value in added
    ]


def _strings(records: object) -> Iterable[tuple[str, ...]]:
    for record in records if isinstance(records, list) else ():
        strings = record.get("value") if isinstance(record, dict) else None
        if isinstance(strings, list):
            yield tuple(str(one) for one in strings)


def _match(version: _Version | None) -> dict[str, str]:
    return {"If-None-Match": "*"} if version is None else {"If-Match": version.etag}


def _object(response: Response) -> Mapping[str, Any]:
    """Return what an error says, if it is one of the API: some come from what stands before it."""
    found = value_of(response)
    return found if isinstance(found, dict) else {}


def _code(answer: Mapping[str, Any]) -> str:
    inner = answer.get("error")
    return code_of(inner.get("code") if isinstance(inner, dict) else answer.get("code"))


def _segment(text: str) -> str:
    return quote(text, safe="")
