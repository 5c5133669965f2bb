"""Porkbun: records through API v3, one per request, with the keys in the body."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final

from certwright.dns.credential import Credential, credential
from certwright.dns.hosted.answer import objects_of
from certwright.dns.hosted.json_api import JsonApi, absolute, field_of, is_full, relative, segment
from certwright.dns.hosted.listing import Page
from certwright.dns.hosted.one_by_one import FEW_NAMES, OneByOneProvider, RecordFields, ZoneFields, pace_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from certwright.dns.hosted.record import FoundRecord
    from certwright.dns.hosted.zones import HostedZone
    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.http.message import Response

HOST: Final = "api.porkbun.com"
ZONES_A_PAGE: Final = 1000
"""So many domains an answer has at most."""
PER_SECOND: Final = 1.0
"""What Porkbun advises; it throttles at about two."""
_RIGHTS: Final = "the API key and the secret API key have to belong together, and the domain needs API Access enabled"

_NOT_ALLOWED: Final = ("INVALID_API_KEYS", "DOMAIN_IS_NOT_OPTED_IN", "API_ACCESS")
"""How the codes begin that say that a key or a domain's opt-in is missing."""


@dataclass(frozen=True)
class PorkbunConfig:
    """The configuration of Porkbun.

    Attributes:
        api_key: An API key.
        secret_api_key: Its secret.
    """

    knows_zones: ClassVar[bool] = True
    patience: ClassVar[dt.timedelta] = dt.timedelta(minutes=10)
    """It publishes changes within minutes."""

    api_key: Credential = field(metadata=credential("API key"))
    secret_api_key: Credential = field(metadata=credential("secret API key"))

    @property
    def destination(self) -> str:
        """The service: all accounts share one set of zones."""
        return HOST

    def build(self, context: ProviderContext) -> PorkbunProvider:
        """Create the provider.

        Raises:
            InvalidCredential: A key cannot be used.
        """
        keys = {
            "apikey": self.api_key.printable("API key"),
            "secretapikey": self.secret_api_key.printable("secret API key"),
        }
        return PorkbunProvider(context, _Api(context, keys))


class _Api(JsonApi):
    def __init__(self, context: ProviderContext, keys: Mapping[str, str]) -> None:
        pace = pace_of(context, PER_SECOND, at_once=5)
        super().__init__(context, f"https://{HOST}/api/json/v3", {}, pace=pace, rights=_RIGHTS)
        self._keys = keys

    async def post(
        self, path: str, *, zone: HostedZone | None = None, body: Mapping[str, str] | None = None
    ) -> tuple[Response, Any]:
        """Send a request, with the keys; return its answer and what that holds."""
        return await self.exchange("POST", path, zone=zone, body={**(body or {}), **self._keys})

    def failed(self, response: Response, answer: Any) -> bool:
        return super().failed(response, answer) or field_of(answer, "status") != "SUCCESS"

    def lacks_rights(self, response: Response, code: str) -> bool:
        # They come with HTTP 400, as everything does.
        return super().lacks_rights(response, code) or code.startswith(_NOT_ALLOWED)


class PorkbunProvider(OneByOneProvider):
    """A `Provider` for the domains of one account."""

    api: _Api
    whose = "the Porkbun account"
    rights = _RIGHTS
    least_ttl = 600

    async def list_zones(self) -> list[HostedZone]:
        """List the domains."""

        async def fetch(start: str) -> Page:
            response, answer = await self.api.post("/domain/listAll", body={"start": start or "0"})
            items = field_of(answer, "domains")
            more = is_full(items, ZONES_A_PAGE)
            return Page(response, items, str(int(start or "0") + ZONES_A_PAGE) if more else "")

        return await ZoneFields("domain").listed(self.api.every(fetch))

    async def find(self, zone: HostedZone, names: Sequence[str]) -> list[FoundRecord]:
        """Find the TXT records at some names."""
        domain = segment(zone.name)
        paths = [f"/dns/retrieve/{domain}"]
        if len(names) <= FEW_NAMES:
            paths = [f"/dns/retrieveByNameType/{domain}/TXT/{segment(relative(name, zone))}" for name in names]
        answers = [(await self.api.post(path.rstrip("/"), zone=zone))[1] for path in paths]
        items = (item for answer in answers for item in objects_of(field_of(answer, "records")))
        return RecordFields("content", place=absolute).among(items, names, zone)

    async def create(self, zone: HostedZone, record: TxtRecord) -> None:
        """Create a record."""
        body = {
            "type": "TXT",
            "name": relative(record.name, zone),
            "content": record.value,
            "ttl": str(self.ttl_of(record)),
        }
        await self.api.post(f"/dns/create/{segment(zone.name)}", zone=zone, body=body)

    async def delete(self, zone: HostedZone, found: FoundRecord) -> None:
        """Delete a record; one that is gone is refused, and then looked for."""
        await self.api.post(f"/dns/delete/{segment(zone.name)}/{segment(found.id)}", zone=zone)
