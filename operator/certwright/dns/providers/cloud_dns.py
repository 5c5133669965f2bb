"""Google Cloud DNS: record sets through API v1, all changes of a zone in one atomic change."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import quote, urlencode

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import InvalidCredential, ProviderRefused
from certwright.dns.hosted.answer import code_of, json_of, not_understood, refused
from certwright.dns.hosted.changes import PendingChanges
from certwright.dns.hosted.google_token import fetch_ambient, read_service_account_key
from certwright.dns.hosted.listing import Listing, Page, every_item
from certwright.dns.hosted.pace import Pace
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider, Swap
from certwright.dns.hosted.token import TokenCache
from certwright.dns.hosted.zones import HostedZone, ZoneList, label_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

    from certwright.dns.hosted.token import Token
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.http.message import Response

HOST: Final = "dns.googleapis.com"
URL: Final = f"https://{HOST}/dns/v1/projects"
PER_SECOND: Final = 5.0
"""Google counts requests of a user in a minute, reads and writes apart; projects may be given less than is usual."""
FEW_NAMES: Final = 4
"""So many are asked for one by one; for more all record sets of the zone are read."""
MAX_SWAPS: Final = 1000
"""Additions, and as many deletions, of one change."""
MAX_DATA: Final = 100_000
"""Octets of the records of one change."""
THROTTLED_SECONDS: Final = 30.0
"""Nothing is sent for so long after a refusal by a quota, which is one of requests a minute."""

_PENDING: Final = "Google Cloud DNS is still distributing the change (pending)"
_ROLE: Final = (
    "the role DNS Administrator (roles/dns.admin), or the permissions dns.managedZones.list, dns.resourceRecordSets.*, "
    "dns.changes.create and dns.changes.get"
)
_RATE: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded"})
_SCOPES: Final = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_DISABLED: Final = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_FORBIDDEN: Final = frozenset({"forbidden", "PERMISSION_DENIED", "IAM_PERMISSION_DENIED"})
_QUICKER: Final = frozenset({"conditionNotMet", "alreadyExists"})
_CNAME: Final = "cnameResourceRecordSetConflict"


@dataclass(frozen=True)
class CloudDNSConfig:
    """The configuration of Google Cloud DNS.

    Attributes:
        project: The ID of the project that has the zones.
        service_account: The JSON file of a service account key; None for ambient credentials.
        hosted_zone_name: The managed zone in which all records are created; None for the one that contains them.
        ambient: Whether the credentials of the place where this process runs may be used.
    """

    knows_zones: ClassVar[bool] = True
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=5)
    """Google may take three minutes to distribute a change."""

    project: str
    service_account: Credential | None = field(default=None, metadata=credential("service account key"))
    hosted_zone_name: str | None = None
    ambient: bool = False

    @property
    def destination(self) -> str:
        """The service: two projects may not have the same public zone."""
        return HOST

    def build(self, context: ProviderContext) -> CloudDNSProvider:
        """Create the provider.

        Raises:
            InvalidCredential: The key cannot be used, or there is none.
        """
        return CloudDNSProvider(self, context, self._token(context))

    def _token(self, context: ProviderContext) -> Callable[[], Awaitable[Token]]:
        if self.service_account is not None:
            key = read_service_account_key(self.service_account)
            return lambda: key.fetch(context)
        if self.ambient:
            return lambda: fetch_ambient(context)
        raise InvalidCredential(
            "Google Cloud DNS needs a service account key in serviceAccountSecretRef: this issuer may not use "
            "Certwright's own credentials"
        )


class CloudDNSProvider(RecordSetProvider):
    """A `Provider` for the public zones of one project."""

    host = HOST

    def __init__(self, config: CloudDNSConfig, context: ProviderContext, fetch: Callable[[], Awaitable[Token]]) -> None:
        super().__init__()
        self._context = context
        self._config = config
        self._tokens = TokenCache(fetch, monotonic=context.monotonic)
        self._pace = Pace(PER_SECOND, at_once=20, monotonic=context.monotonic, sleep=context.sleep)
        self._changes = PendingChanges(self._ask, said=_PENDING, monotonic=context.monotonic)
        self._zones = ZoneList(
            self._list_zones if config.hosted_zone_name is None else self._named_zone,
            whose=f"the Google Cloud project {config.project}",
            hint=f"the service account needs {_ROLE}; hostedZoneName can name the managed zone"
            if config.hosted_zone_name is None
            else f"the managed zone that hostedZoneName names, {config.hosted_zone_name}, is another one",
            monotonic=context.monotonic,
        )

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        zone = self._config.hosted_zone_name
        try:
            return await self._zones.find(name)
        except ProviderRefused as error:
            if zone is None or error.code not in _FORBIDDEN:
                raise
            # Who names the zone need not give the right to look at it; the API refuses names of other zones by itself.
            return HostedZone(zone, name)

    async def read(self, zone: HostedZone, names: Sequence[str]) -> Iterable[RecordSet]:
        """Read the sets of TXT records at some names."""
        filters: list[dict[str, str]] = (
            [{"name": f"{name}.", "type": "TXT"} for name in names] if len(names) <= FEW_NAMES else [{}]
        )
        return [
            found
            for one in filters
            async for item in self._pages(f"{_zone(zone)}/rrsets", one, "rrsets", zone)
            if item.get("type") == "TXT" and (found := _record_set(item)).name in names
        ]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Swap sets in one change, which fails if a set is not as it was read; in several if there are too many."""
        for part in _parts(swaps):
            body = {
                "deletions": [swap.old.version for swap in part if swap.old.version is not None],
                "additions": [_written(swap) for swap in part if swap.values],
            }
            path = f"{_zone(zone)}/changes"
            _, made = await self._send("POST", path, zone, {name: sets for name, sets in body.items() if sets})
            if made.get("status") == "pending":
                added = [(swap.name, value) for swap in part for value in swap.add]
                self._changes.note(f"{path}/{quote(str(made.get('id')), safe='')}", added)

    async def pending(self, records: Sequence[TxtRecord]) -> Mapping[TxtRecord, str]:
        """Return the records that Google has not sent to its name servers yet."""
        return await self._changes.pending(records)

    async def _ask(self, change: str) -> str:
        _, found = await self._send("GET", change, None, paced=False)
        return "" if found.get("status") == "done" else _PENDING

    async def _list_zones(self) -> list[HostedZone]:
        items = self._pages(
            "managedZones", {"fields": "nextPageToken,managedZones(name,dnsName,visibility)"}, "managedZones"
        )
        return [_hosted_zone(item) async for item in items if item.get("visibility", "public") == "public"]

    async def _named_zone(self) -> list[HostedZone]:
        # Whoever names a private one means it: perhaps the CA is private as well.
        zone = HostedZone(str(self._config.hosted_zone_name), "")
        _, found = await self._send("GET", f"{_zone(zone)}?fields=name,dnsName", zone)
        return [_hosted_zone(found)]

    async def _pages(
        self, path: str, query: Mapping[str, str], items: str, zone: HostedZone | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        async def fetch(token: str) -> Page:
            asked = {**query, "prettyPrint": "false", **({"pageToken": token} if token else {})}
            response, answer = await self._send("GET", f"{path}?{urlencode(asked)}", zone)
            following = answer.get("nextPageToken")
            return Page(response, answer.get(items), following if isinstance(following, str) else "")

        async for item in every_item(fetch, Listing(label_of(zone), monotonic=self._context.monotonic)):
            if isinstance(item, dict):
                yield item

    async def _send(
        self,
        method: str,
        path: str,
        zone: HostedZone | None,
        body: Mapping[str, Any] | None = None,
        *,
        paced: bool = True,
    ) -> tuple[Response, dict[str, Any]]:
        url = f"{URL}/{quote(self._config.project, safe=':')}/{path}"
        response = await self._authorized(method, url, body, paced=paced)
        answer = json_of(response)
        if response.status == HTTPStatus.OK:
            return response, answer
        raise self._refusal(response, answer, zone, changing=body is not None)

    async def _authorized(self, method: str, url: str, body: Mapping[str, Any] | None, *, paced: bool) -> Response:
        content = None if body is None else json.dumps(body).encode()
        kind = {} if content is None else {"Content-Type": "application/json"}
        for last in (False, True):
            token = await self._tokens.get()
            if paced:
                await self._pace.turn()
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", **kind}
            response = await self._context.request(method, url, headers=headers, content=content)
            if response.status != HTTPStatus.UNAUTHORIZED or last:
                break
            self._tokens.drop(token)
        return response

    def _refusal(
        self, response: Response, answer: Mapping[str, Any], zone: HostedZone | None, *, changing: bool
    ) -> Exception:
        code = _code(answer)
        if changing and (code in _QUICKER or response.status == HTTPStatus.NOT_FOUND):
            # Also of a set that is gone. Whether it is the zone that is gone is seen when the sets are read again.
            return Outdated()
        if response.status < HTTPStatus.BAD_REQUEST:
            return not_understood(response)
        if code in _RATE:
            return self._context.throttled(response, usual=THROTTLED_SECONDS)
        return refused(response, code, self._why(response.status, code, zone))

    def _why(self, status: int, code: str, zone: HostedZone | None) -> str:
        project, where = self._config.project, "" if zone is None else f", for the managed zone {zone.id}"
        if code in _DISABLED:
            return f"the Cloud DNS API is not enabled in the project {project}"
        if code in _SCOPES:
            return "the access scopes of the node do not include Cloud DNS"
        if code == _CNAME:
            return "there is a CNAME at the name of a record, where nothing else may be: see cnameStrategy"
        if code == "quotaExceeded":
            return f"a limit of Cloud DNS is reached in the project {project}{where}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            return f"the service account needs {_ROLE}, in the project {project}{where}"
        if status == HTTPStatus.NOT_FOUND:
            return (
                f"the project {project} is not there{where}"
                if zone is None
                else f"there is no managed zone {zone.id} in the project {project}"
            )
        return f"the request{where} is not one that it takes"


def _zone(zone: HostedZone) -> str:
    return f"managedZones/{quote(zone.id, safe='')}"


def _hosted_zone(item: Mapping[str, Any]) -> HostedZone:
    return HostedZone(str(item.get("name")), str(item.get("dnsName")).rstrip(".").lower())


def _record_set(item: Mapping[str, Any]) -> RecordSet:
    """Read a set. Its version is what a deletion of it has to say."""
    version = {key: item[key] for key in ("name", "type", "ttl", "rrdatas", "routingPolicy") if key in item}
    name = str(item.get("name")).rstrip(".").lower()
    return RecordSet.of(name, item.get("rrdatas"), item.get("ttl"), version)


def _written(swap: Swap) -> dict[str, Any]:
    if "routingPolicy" in (swap.old.version or {}):
        raise ProviderRefused(
            f"the TXT records at {swap.name} have a routing policy in Google Cloud DNS, which is not changed",
            host=HOST,
        )
    return {"name": f"{swap.name}.", "type": "TXT", "ttl": swap.ttl, "rrdatas": swap.texts}


def _parts(swaps: Sequence[Swap]) -> Iterator[list[Swap]]:
    """Divide swaps into parts, each within the limits of one change."""
    part: list[Swap] = []
    size = 0
    for swap in swaps:
        more = sum(map(len, (*swap.old.texts, *swap.texts)))
        if part and (len(part) == MAX_SWAPS or size + more > MAX_DATA):
            yield part
            part, size = [], 0
        part.append(swap)
        size += more
    if part:
        yield part


def _code(answer: Mapping[str, Any]) -> str:
    """Return the reason of an error, in the words of the API's first versions if it says it in those too."""
    error = answer.get("error")
    if not isinstance(error, dict):
        return ""
    lists = [found for part in ("errors", "details") if isinstance(found := error.get(part), list)]
    reasons = [code_of(one.get("reason")) for found in lists for one in found if isinstance(one, dict)]
    return next(filter(None, [*reasons, code_of(error.get("status"))]), "")
