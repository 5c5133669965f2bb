"""Hetzner: record sets through the Cloud API v1, which adds and removes single values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.errors import DnsError, ProviderRefused
from certwright.dns.hosted.answer import code_of, objects_of
from certwright.dns.hosted.changes import PendingChanges
from certwright.dns.hosted.config import ServiceConfig
from certwright.dns.hosted.json_api import JsonApi, below, field_of, relative, segment
from certwright.dns.hosted.one_by_one import FEW_NAMES, ZoneFields
from certwright.dns.hosted.provider import Outdated
from certwright.dns.hosted.record_set import RecordSet, RecordSetProvider
from certwright.dns.hosted.text import quoted, unquoted
from certwright.dns.hosted.zones import HostedZone, ZoneList
from certwright.http.url import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.dns.hosted.record_set import Swap
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.http.message import Response

_PAGE: Final = ("per_page", 50)
"""Items of a page: the API's maximum."""
PER_SECOND: Final = 0.5
AT_ONCE: Final = 200
"""Both together: at most 2000 requests in an hour. The API allows 3600 to all programs that use the project."""
LEAST_TTL: Final = 60
"""Seconds."""
_RIGHTS: Final = "the API token needs the permission Read & Write, in the project of the zone"
_ZONES: Final = ZoneFields("name", "id", accepts=lambda item: item.get("mode") != "secondary")
"""A secondary zone is written elsewhere."""
_RUNNING: Final = "Hetzner is still publishing the change (running)"


class _Api(JsonApi):
    def code(self, answer: Any) -> object:
        return field_of(answer, "error", "code")

    def is_outdated(self, response: Response, code: str) -> bool:
        del response
        # `conflict`: the zone changed during the request. `locked`: another action of it is running.
        return code in ("conflict", "locked", "uniqueness_error")


@dataclass(frozen=True)
class HetznerConfig(ServiceConfig):
    """The configuration of Hetzner.

    Attributes:
        token: An API token of the project in the Hetzner Console.
    """

    url = "https://api.hetzner.cloud/v1"
    per_second = PER_SECOND
    at_once = AT_ONCE
    rights = _RIGHTS
    api = _Api

    token: Credential = field(metadata=credential("API token"))

    def provider(self, context: ProviderContext, api: JsonApi) -> HetznerProvider:
        """Return the provider."""
        return HetznerProvider(context, api)


class HetznerProvider(RecordSetProvider):
    """A `Provider` and `ChangeTracker` for the primary zones of one project.

    The API adds and removes single values, so values of others are never written.
    """

    host = host_of(HetznerConfig.url)

    def __init__(self, context: ProviderContext, api: JsonApi) -> None:
        super().__init__()
        self._api = api
        self._zones = ZoneList(self._list_zones, whose="the Hetzner project", hint=_RIGHTS, monotonic=context.monotonic)
        self._changes = PendingChanges(self._ask, said=_RUNNING, monotonic=context.monotonic)

    async def find_zone(self, name: str) -> HostedZone:
        """Find the zone that contains a name."""
        return await self._zones.find(name)

    async def pending(self, records: Sequence[TxtRecord]) -> Mapping[TxtRecord, str]:
        """Return the records whose action is still running, or has failed."""
        return await self._changes.pending(records)

    async def read(self, zone: HostedZone, names: Sequence[str]) -> list[RecordSet]:
        """Read the sets at some names; of many names, all TXT sets of the zone."""
        filters: list[dict[str, str]] = [{}]
        if len(names) <= FEW_NAMES:
            filters = [{"name": relative(name, zone, "@")} for name in names]
        return [
            found
            for one in filters
            async for item in self._api.numbered(
                f"{_path(zone)}/rrsets", "rrsets", size=_PAGE, query={"type": "TXT", **one}, zone=zone
            )
            if item.get("type") == "TXT" and (found := _read(item, zone)).name in names
        ]

    async def swap(self, zone: HostedZone, swaps: Sequence[Swap]) -> None:
        """Add values to sets and remove them, one set after the other; the error names those that were not changed."""
        for number, swap in enumerate(swaps):
            try:
                await self._change_set(zone, swap)
            except DnsError as error:
                error.names = tuple(left.name for left in swaps[number:])
                raise

    async def _change_set(self, zone: HostedZone, swap: Swap) -> None:
        try:
            if swap.remove:
                await self._remove(zone, swap)
            answer = await self._add(zone, swap) if swap.add else None
        except ProviderRefused as error:
            # There is no code of its own for a value that is there already, or is gone: the set shows it.
            if not error.for_all and not await self.is_as_read(zone, [swap]):
                raise Outdated from None
            raise
        self._note(zone, answer, swap)

    async def _add(self, zone: HostedZone, swap: Swap) -> Any:
        body: dict[str, Any] = {"records": [{"value": quoted(value)} for value in sorted(swap.add)]}
        if not swap.old.values:
            # A set that is there keeps its own.
            body["ttl"] = max(swap.ttl, LEAST_TTL)
        return await self._api.call("POST", _action(zone, swap.name, "add_records"), zone=zone, body=body)

    async def _remove(self, zone: HostedZone, swap: Swap) -> None:
        # As the API writes them: it compares the texts.
        body = {"records": [{"value": text} for text in swap.old.texts if unquoted(text) in swap.remove]}
        path = _action(zone, swap.name, "remove_records")
        if await self._api.call("POST", path, zone=zone, body=body, may_be_gone=True) is None:
            raise Outdated

    def _note(self, zone: HostedZone, answer: Any, swap: Swap) -> None:
        action = field_of(answer, "action")
        if field_of(action, "status") == "error":
            raise self._failed(action, zone)
        action_id = field_of(action, "id")
        if field_of(action, "status") == "running" and isinstance(action_id, int):
            self._changes.note(str(action_id), [(swap.name, value) for value in swap.add])

    def _failed(self, action: Any, zone: HostedZone) -> ProviderRefused:
        code = code_of(field_of(action, "error", "code"))
        said = f" ({code})" if code else ""
        return ProviderRefused(
            f"the DNS provider at {self.host} accepted a change of the zone {zone.name}, and failed to make it{said}",
            host=self.host,
            code=code,
        )

    async def _ask(self, action_id: str) -> str:
        if self._api.pace.is_busy:
            return _RUNNING
        answer = await self._api.call("GET", f"/zones/actions/{segment(action_id)}", may_be_gone=True)
        status = field_of(answer, "action", "status")
        if status == "error":
            code = code_of(field_of(answer, "action", "error", "code"))
            return f"Hetzner failed to publish the change (error{f', {code}' if code else ''})"
        return _RUNNING if status == "running" else ""

    async def _list_zones(self) -> list[HostedZone]:
        return await _ZONES.listed(self._api.numbered("/zones", "zones", size=_PAGE))


def _path(zone: HostedZone) -> str:
    return f"/zones/{segment(zone.id)}"


def _action(zone: HostedZone, name: str, action: str) -> str:
    return f"{_path(zone)}/rrsets/{segment(relative(name, zone, '@'))}/TXT/actions/{action}"


def _read(item: Mapping[str, Any], zone: HostedZone) -> RecordSet:
    texts = [str(one.get("value") or "") for one in objects_of(item.get("records"))]
    return RecordSet.of(below(item.get("name"), zone), texts, item.get("ttl"))
