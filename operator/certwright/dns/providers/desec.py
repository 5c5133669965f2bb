"""deSEC: record sets through API v1, all of a domain in one request."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import DnsError, ProviderRefused, ProviderUnreachable
from certwright.dns.hosted.answer import objects_of, refused, value_of
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, absolute, relative, segment
from certwright.dns.hosted.one_by_one import ZoneFields
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.quota import Limit, Quota
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider
from certwright.dns.hosted.zones import HostedZone, ZoneList
from certwright.dns.outcomes import joined
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.dns.hosted.record_set import Swap
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

LIMITS: Final = (Limit(1, 1), Limit(12, 60), Limit(80, 3600), Limit(240, 86400))
"""Changes of one domain. The API allows 2 in a second, 15 in a minute, 100 in an hour and 300 in a day: a fifth is left
to other programs (https://desec.readthedocs.io/en/latest/rate-limits.html)."""
LONGEST_WAIT: Final = 60.0
"""Seconds. Whoever has to wait longer is told so, and tries again."""
OLD_SECONDS: Final = 2.0
"""What was read before a longer wait than this is read again."""
PER_SECOND: Final = 0.5
AT_ONCE: Final = 8
"""Both together: at most 38 requests in a minute. The API allows 50 that read."""
MOST: Final = 500
"""Sets of one request."""
USUAL_TTL: Final = 3600
"""Seconds: the least that a domain allows, unless it says otherwise."""
LONGEST_TTL: Final = 86400
"""Seconds: the API's maximum."""
_ZONES: Final = ZoneFields("name")
_RIGHTS: Final = (
    "the token needs the permission to write (perm_write) TXT records of the domain: a policy of its own that says so, "
    "or no policies at all"
)
_INVALID: Final = "the token was deleted, has expired, or may not be used from this address (allowed_subnets)"


class _Invalid(ProviderRefused):
    """The API refused a request, and made no part of it.

    Attributes:
        wrong: The places of the sets on account of which it did, if it said so.
    """

    wrong: tuple[int, ...] = ()


class _Api(JsonApi):
    async def turn(self, method: str) -> None:
        # The pace is that of reading; changes have limits of their own. What was read must not grow old meanwhile.
        if method == "GET":
            await super().turn(method)

    def counted_as(self, method: str, zone: HostedZone | None) -> str:
        # The limits of changes are for each domain. One that is exhausted must not hold up the others.
        return "" if method == "GET" or zone is None else zone.id

    def is_outdated(self, response: Response, code: str) -> bool:
        del code
        return response.status == HTTPStatus.CONFLICT

    def _refusal(self, response: Response, code: str, zone: HostedZone | None) -> Exception:
        if response.status == HTTPStatus.UNAUTHORIZED:
            return refused(response, code, _INVALID)
        if response.status == HTTPStatus.BAD_REQUEST and zone is not None:
            return _invalid(response, zone)
        found = super()._refusal(response, code, zone)
        if isinstance(found, ProviderRefused) and response.status == HTTPStatus.FORBIDDEN:
            # Policies may be about single names.
            found.for_all = zone is None
        return found


def _invalid(response: Response, zone: HostedZone) -> _Invalid:
    why = f"it takes no such TXT records in {zone.name}; a name that has a CNAME record can have no others"
    error = _Invalid(str(refused(response, "", why)), host=DesecProvider.host)
    said = value_of(response)
    error.wrong = tuple(place for place, one in enumerate(said) if one) if isinstance(said, list) else ()
    return error


@dataclass(frozen=True)
class DesecConfig(ServiceConfig):
    """The configuration of deSEC.

    Attributes:
        token: A token of the account.
    """

    url = "https://desec.io/api/v1"
    per_second = PER_SECOND
    at_once = AT_ONCE
    rights = _RIGHTS
    api = _Api
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=10)
    """A minute is usual; deSEC's own plugin for certbot waits 80 s, and some had to wait for 300."""

    token: Credential = field(metadata=credential("token"))

    def headers(self) -> dict[str, str]:
        """Return the header field of the token. Raises `InvalidCredential`."""
        return {"Authorization": f"Token {self.token.printable('token')}"}

    def provider(self, context: ProviderContext, api: JsonApi) -> DesecProvider:
        """Return the provider."""
        return DesecProvider(context, api)


class DesecProvider(RecordSetProvider):
    """A `Provider` for the domains of one account.

    The API creates sets only if there are none, and replaces those that are there, whatever they are by then: so these
    are read right before, and again afterwards.
    """

    host = host_of(DesecConfig.url)

    def __init__(self, context: ProviderContext, api: JsonApi) -> None:
        super().__init__()
        self._api = api
        self._context = context
        self._quotas: dict[str, Quota] = {}
        self._least_ttl: dict[str, int] = {}
        self._zones = ZoneList(self._list_zones, whose="the deSEC account", hint=_RIGHTS, monotonic=context.monotonic)

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        return await self._zones.find(name)

    async def read(self, zone: HostedZone, names: Sequence[str]) -> list[RecordSet]:
        """Read the sets at some names: one by itself, several from all TXT sets of the zone."""
        if len(names) == 1:
            path = f"{_sets(zone)}{segment(relative(names[0], zone, '@'))}/TXT/"
            items = objects_of([await self._api.call("GET", path, zone=zone, may_be_gone=True)])
            return [one for item in items if (one := _read(item, zone)) is not None and one.name in names]
        return [
            one
            async for item in self._api.linked(_sets(zone), "cursor", query={"type": "TXT"}, zone=zone)
            if (one := _read(item, zone)) is not None and one.name in names
        ]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Create sets and replace them, all of each kind together.

        Raises:
            Outdated: A set was not as it was read, or is not as it was written.
            DnsError: The API refused, or does not answer; it names the records that were not written.
        """
        new = [swap for swap in swaps if not swap.old.values]
        known = [swap for swap in swaps if swap.old.values]
        parts = [(method, part) for method, its in (("POST", new), ("PATCH", known)) for part in _parted(its)]
        invalid: list[_Invalid] = []
        for number, (method, part) in enumerate(parts):
            try:
                await self._write(zone, method, part)
            except _Invalid as error:
                invalid.append(error)
            except DnsError as error:
                left = (swap.name for _, its in parts[number:] for swap in its)
                error.names = (*(name for one in invalid for name in one.names), *left)
                raise
        if invalid:
            raise joined(invalid)
        extended = [swap for swap in known if swap.add]
        if extended and not await self.is_as_written(zone, extended):
            raise Outdated

    async def _write(self, zone: HostedZone, method: str, swaps: Sequence[Swap]) -> None:
        """Write sets; if the API refuses some, the others. The error names those."""
        try:
            await self._send(zone, method, swaps)
        except _Invalid as error:
            # There is no code for a set that is there already, or is gone: reading shows it.
            if not await self.is_as_read(zone, swaps):
                raise Outdated from None
            right = [swap for place, swap in enumerate(swaps) if place not in error.wrong]
            if error.wrong and right:
                await self._send(zone, method, right)
                swaps = [swap for place, swap in enumerate(swaps) if place in error.wrong]
            error.names = tuple(swap.name for swap in swaps)
            raise

    async def _send(self, zone: HostedZone, method: str, swaps: Sequence[Swap]) -> None:
        quota = await self._turn(zone)
        try:
            await self._api.call(method, _sets(zone), zone=zone, body=[self._written(zone, swap) for swap in swaps])
        finally:
            # The API counted it earlier than now: its limits are kept in any case.
            quota.count()

    def _written(self, zone: HostedZone, swap: Swap) -> dict[str, Any]:
        found: dict[str, Any] = {"subname": relative(swap.name, zone), "type": "TXT", "records": swap.texts}
        if not swap.old.values:
            found["ttl"] = min(max(swap.ttl, self._least_ttl.get(zone.id, USUAL_TTL)), LONGEST_TTL)
        # Without a TTL the API creates nothing: what is replaced has to be there still.
        return found

    async def _turn(self, zone: HostedZone) -> Quota:
        """Wait until a zone may be changed once more.

        Raises:
            Outdated: That took so long that what was read may not be so any more.
            ProviderUnreachable: It takes too long.
        """
        quota = self._quotas.get(zone.id)
        if quota is None:
            self._quotas = {zone_id: one for zone_id, one in self._quotas.items() if not one.is_unused}
            quota = self._quotas[zone.id] = Quota(LIMITS, monotonic=self._context.monotonic)
        wait, limit = quota.wait()
        if limit is None:
            return quota
        if wait > LONGEST_WAIT:
            raise _used_up(zone, limit, wait)
        await self._context.sleep(wait)
        if wait > OLD_SECONDS:
            raise Outdated
        return quota

    async def _list_zones(self) -> list[HostedZone]:
        zones: list[HostedZone] = []
        least: dict[str, int] = {}
        async for item in self._api.linked("/domains/", "cursor"):
            if (zone := _ZONES.zone(item)) is not None:
                zones.append(zone)
                if (ttl := _ttl(item.get("minimum_ttl"))) != USUAL_TTL:
                    least[zone.id] = ttl
        self._least_ttl = least
        return zones


def _sets(zone: HostedZone) -> str:
    return f"/domains/{segment(zone.id)}/rrsets/"


def _parted(swaps: Sequence[Swap]) -> list[Sequence[Swap]]:
    return [swaps[start : start + MOST] for start in range(0, len(swaps), MOST)]


def _used_up(zone: HostedZone, limit: Limit, wait: float) -> ProviderUnreachable:
    period = {3600: "hour", 86400: "day"}.get(int(limit.seconds), f"{limit.seconds:g} seconds")
    message = (
        f"deSEC limits how often a domain is changed, and {zone.name} was changed {limit.most} times in the last "
        f"{period}: the next change waits"
    )
    return ProviderUnreachable(message, host=DesecProvider.host, retry_after=wait)


def _ttl(said: Any) -> int:
    return said if isinstance(said, int) and 0 < said <= LONGEST_TTL else USUAL_TTL


def _read(item: Mapping[str, Any], zone: HostedZone) -> RecordSet | None:
    """Read a set, if it is one of TXT records."""
    if item.get("type") != "TXT":
        return None
    # With a dot at its end: what it is below the zone may end in the zone's own name.
    return RecordSet.of(absolute(item.get("name"), zone), item.get("records"), item.get("ttl"))
