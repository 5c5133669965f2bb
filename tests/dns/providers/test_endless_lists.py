"""Lists of zones and of records that never end, at each provider that reads any; no credential follows their links."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from certwright.dns import ProviderUnreachable, TxtRecord
from certwright.dns.hosted import listing
from certwright.dns.hosted.listing import ListTooLong
from certwright.dns.provider import ProviderContext
from certwright.dns.providers import configure
from certwright.http.message import Headers, Response
from tests.fuzz import providers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Body = Any
    Pages = Callable[[int], Body]

MANY: Final = 10**9
EVIL: Final = "https://evil.example"
LINK: Final = f'<{EVIL}/api?cursor={{0}}&page={{0}}>; rel="next"'
RECORDS: Final = [TxtRecord(f"_acme-challenge.w{number}.example.com", "value") for number in range(8)]
"""So many that all records of the zone are read."""


def xml(name: str, content: str) -> bytes:
    return f'<{name} xmlns="{providers.AWS}">{content}<IsTruncated>true</IsTruncated></{name}>'.encode()


def zone_of_route53(number: int) -> bytes:
    return xml(
        "ListHostedZonesByNameResponse",
        f"<HostedZones/><NextDNSName>z{number}.example</NextDNSName><NextHostedZoneId>Z{number}</NextHostedZoneId>",
    )


def set_of_route53(number: int) -> bytes:
    return xml(
        "ListResourceRecordSetsResponse",
        f"<NextRecordName>\\052.{number}.example.com.</NextRecordName><NextRecordType>TXT</NextRecordType>",
    )


def azure(number: int) -> Body:
    return {"value": [{}], "nextLink": f"https://management.azure.com/x?api-version=1&$skipToken={number}"}


def cloudflare(_: int) -> Body:
    return {"success": True, "result": [{}], "result_info": {"total_pages": MANY}}


PAGES: Final[Mapping[str, tuple[Pages, Pages]]] = {
    "akamai": (
        lambda _: {"zones": [{}], "metadata": {"totalElements": MANY}},
        lambda _: {"recordsets": [{}], "metadata": {"totalElements": MANY}},
    ),
    "azure_dns": (azure, azure),
    "cloudflare": (cloudflare, cloudflare),
    "cloud_dns": (
        lambda number: {"managedZones": [{}], "nextPageToken": str(number)},
        lambda number: {"rrsets": [{}], "nextPageToken": str(number)},
    ),
    "desec": (lambda _: [{}], lambda _: [{}]),
    "digitalocean": (
        lambda _: {"domains": [{}], "links": {"pages": {"next": EVIL}}},
        lambda _: {"domain_records": [{}], "links": {"pages": {"next": EVIL}}},
    ),
    "gandi": (lambda _: [{}], lambda _: [{}]),
    "godaddy": (lambda number: [{"domain": f"z{number}.example"}] * 1000, lambda _: [{}] * 500),
    "hetzner": (lambda _: {"zones": [{}] * 50}, lambda _: {"rrsets": [{}] * 50}),
    "linode": (lambda _: {"data": [{}], "pages": MANY}, lambda _: {"data": [{}], "pages": MANY}),
    "porkbun": (lambda _: {"status": "SUCCESS", "domains": [{}] * 1000}, lambda _: None),
    "route53": (zone_of_route53, set_of_route53),
    "scaleway": (
        lambda _: {"dns_zones": [{}], "total_count": MANY},
        lambda _: {"records": [{}], "total_count": MANY},
    ),
    "vultr": (
        lambda number: {"domains": [{}], "meta": {"links": {"next": str(number)}}},
        lambda number: {"records": [{}], "meta": {"links": {"next": str(number)}}},
    ),
    "infomaniak": (lambda _: None, lambda _: {"result": "success", "data": [{}], "pages": MANY}),
}
"""A page of zones and one of records, by its number; None where the API has no pages."""
NOT_LISTED: Final = frozenset({"acme_dns", "http_request", "ionos", "ovh", "powerdns"})
"""What these read has no pages: the bound on one answer is the bound."""


class Endless:
    """A transport to an API: good answers first, then page after page."""

    def __init__(self, good: tuple[bytes, ...], page: Pages, *, link: str = LINK) -> None:
        self._link = link
        self._good = list(good)
        self._page = page
        self.pages = 0
        self.hosts: list[str] = []
        self.now = 1000.0

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        del method, content, max_bytes
        assert headers
        self.hosts.append(urlsplit(url).netloc)
        if self._good:
            return Response(200, Headers({}), self._good.pop(0), url)
        self.pages += 1
        found = self._page(self.pages)
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        return Response(200, Headers({"Link": self._link.format(self.pages)}), body, url)

    async def aclose(self) -> None: ...

    def provider(self, name: str) -> Any:
        given = providers.APIS[name].settings
        settings = {key: value() if callable(value) else value for key, value in given.items()}
        context = ProviderContext(self._find_zone, lambda: self, monotonic=lambda: self.now, sleep=self._sleep)
        return configure(name, settings).build(context)

    async def _find_zone(self, name: str) -> Any:
        raise AssertionError(name)

    async def _sleep(self, _: float) -> None:
        """Do not let it be the time that ends a list."""


def test_every_provider_is_here() -> None:
    assert {*PAGES, *NOT_LISTED} == {*providers.APIS}


def logins(name: str) -> int:
    """Return how many answers come before the list of zones."""
    return 1 if name in ("azure_dns", "cloud_dns") else 0


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_PAGES", 12)


@pytest.mark.parametrize("name", [name for name, (zones, _) in PAGES.items() if zones(1) is not None])
async def test_zones_without_an_end_are_told_and_the_credential_goes_nowhere_else(name: str) -> None:
    api = Endless(providers.answers(name)[: logins(name)], PAGES[name][0])
    with pytest.raises(ListTooLong, match=r"12 pages of zones.*use a credential that may see fewer") as caught:
        await api.provider(name).present(RECORDS[:1])
    assert caught.value.host in api.hosts
    assert api.pages == 12
    assert not any("evil" in host for host in api.hosts)
    assert len({*api.hosts[logins(name) :]}) == 1


@pytest.mark.parametrize("name", [name for name, (_, records) in PAGES.items() if records(1) is not None])
async def test_records_without_an_end_are_told_and_the_credential_goes_nowhere_else(name: str) -> None:
    api = Endless(providers.answers(name)[: logins(name) + 1], PAGES[name][1])
    if name == "infomaniak":
        # Each parent of a name is asked for by itself; the zone is the only one that is there.
        absent = json.dumps({"result": "success", "data": False}).encode()
        api = Endless((*providers.answers(name)[:1], *[absent] * 10), PAGES[name][1])
    with pytest.raises(ListTooLong, match=r"more than 12 pages of records of example\.com.*CNAME") as caught:
        await api.provider(name).present(RECORDS)
    assert caught.value.names == tuple(record.name for record in RECORDS)
    assert not any("evil" in host for host in api.hosts)
    assert api.pages <= 24, "it is not read again for each name"


@pytest.mark.parametrize("name", ["azure_dns", "cloud_dns", "desec", "godaddy", "route53", "vultr"])
async def test_pages_that_lead_back_to_themselves_are_told(name: str) -> None:
    api = Endless(providers.answers(name)[: logins(name)], lambda _: PAGES[name][0](7), link=LINK.format(7))
    with pytest.raises(ProviderUnreachable, match="lead back to one of them"):
        await api.provider(name).present(RECORDS[:1])
    assert api.pages == 2


@pytest.mark.parametrize(
    "link", [f"{EVIL}/x", "http://management.azure.com/x", "https://management.azure.com:8443/x", "//evil.example", 5]
)
async def test_the_next_page_of_azure_is_at_the_same_scheme_host_and_port(link: object) -> None:
    api = Endless(providers.answers("azure_dns")[:1], lambda _: {"value": [], "nextLink": link})
    with pytest.raises(ProviderUnreachable, match=r"management\.azure\.com answered with HTTP 200 and nothing that is"):
        await api.provider("azure_dns").present(RECORDS[:1])
    assert api.hosts == ["login.microsoftonline.com", "management.azure.com"]
