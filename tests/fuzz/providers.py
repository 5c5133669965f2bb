"""DNS providers whose API answers anything: each tells a `DnsError`, to whichever request the answer comes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from certwright.dns import TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.errors import DnsError
from certwright.dns.provider import ProviderContext
from certwright.dns.providers import configure
from certwright.http.message import Headers, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Zone

ZONE, LABEL, NAME = "example.com", "_acme-challenge", "_acme-challenge.example.com"
SECRET: Final = Credential("s3cr3t")
RECORD: Final = TxtRecord(NAME, "wanted")
GOOD_PAGES: Final = {"links": {}, "meta": {"total": 1, "links": {"next": ""}, "pagination": {"next_page": None}}}
MAX_PAGES: Final = 12
"""A list that never ends is read 500 pages of, which takes long: after so many answers there is nothing more."""
MAX_REQUESTS: Final = 2000


@dataclass(frozen=True)
class Api:
    """What is fuzzed of a provider.

    Attributes:
        settings: Of its configuration.
        answers: What it says to the first requests: a token if it gives one, zones, records; the last of them again
            and again.
    """

    settings: Mapping[str, Any]
    answers: tuple[Any, ...]


APIS: Final[Mapping[str, Api]] = {
    "akamai": Api(
        {
            "service_consumer_domain": "akab-x.luna.akamaiapis.net",
            **dict.fromkeys(("client_token", "client_secret", "access_token"), SECRET),
        },
        (
            {"zones": [{"zone": ZONE, "type": "PRIMARY"}], "metadata": {"totalElements": 1, "page": 1}},
            {"name": NAME, "type": "TXT", "ttl": 60, "rdata": ['"foreign"']},
        ),
    ),
    "azure_dns": Api(
        {
            "subscription_id": "00000000-0000-0000-0000-000000000001",
            "resource_group_name": "dns",
            "client_id": "00000000-0000-0000-0000-000000000002",
            "client_secret": SECRET,
            "tenant_id": "00000000-0000-0000-0000-000000000003",
        },
        (
            {"token_type": "Bearer", "expires_in": 3599, "access_token": "t0ken"},
            {"value": [{"id": "/x/dnszones/example.com", "name": ZONE, "properties": {"zoneType": "Public"}}]},
            {"name": LABEL, "etag": "e", "properties": {"TTL": 60, "TXTRecords": [{"value": ["foreign"]}]}},
        ),
    ),
    "cloudflare": Api(
        {"api_token": SECRET},
        (
            {"success": True, "result": [{"id": "z", "name": ZONE, "type": "full"}], "result_info": {"total_pages": 1}},
            {
                "success": True,
                "errors": [],
                "result": [{"id": "r", "type": "TXT", "name": NAME, "content": '"foreign"'}],
                "result_info": {"total_pages": 1},
            },
        ),
    ),
    "digitalocean": Api(
        {"token": SECRET},
        (
            {"domains": [{"name": ZONE}], **GOOD_PAGES},
            {"domain_records": [{"id": 1, "type": "TXT", "name": LABEL, "data": "foreign"}], **GOOD_PAGES},
        ),
    ),
    "godaddy": Api(
        {"api_key": SECRET, "api_secret": SECRET},
        ([{"domain": ZONE, "status": "ACTIVE"}], [{"name": LABEL, "type": "TXT", "data": "foreign", "ttl": 600}]),
    ),
    "hetzner": Api(
        {"token": SECRET},
        (
            {"zones": [{"id": 1, "name": ZONE, "mode": "primary", "status": "ok"}], **GOOD_PAGES},
            {
                "rrset": {"name": LABEL, "type": "TXT", "ttl": 60, "records": [{"value": '"foreign"'}]},
                "action": {"id": 1, "status": "success"},
                **GOOD_PAGES,
            },
        ),
    ),
    "ionos": Api(
        {"api_key": Credential("prefix.s3cr3t")},
        (
            [{"id": "z", "name": ZONE, "type": "NATIVE"}],
            {"id": "z", "records": [{"id": "r", "name": NAME, "type": "TXT", "content": '"foreign"'}]},
        ),
    ),
    "linode": Api(
        {"token": SECRET},
        (
            {"data": [{"id": 1, "domain": ZONE, "type": "master"}], "page": 1, "pages": 1},
            {"data": [{"id": 2, "type": "TXT", "name": LABEL, "target": "foreign"}], "page": 1, "pages": 1},
        ),
    ),
    "ovh": Api(
        {"endpoint": "ovh-eu", "application_key": "app", "application_secret": SECRET, "consumer_key": SECRET},
        (1_700_000_000, [ZONE], [1], {"id": 1, "fieldType": "TXT", "subDomain": LABEL, "target": '"foreign"'}),
    ),
    "porkbun": Api(
        {"api_key": SECRET, "secret_api_key": SECRET},
        (
            {"status": "SUCCESS", "domains": [{"domain": ZONE, "status": "ACTIVE"}]},
            {"status": "SUCCESS", "records": [{"id": "1", "name": NAME, "type": "TXT", "content": "foreign"}]},
        ),
    ),
    "powerdns": Api(
        {"url": "https://dns.example.net", "api_key": SECRET},
        (
            {"version": "5.0.2", "daemon_type": "authoritative"},
            [{"id": "example.com.", "name": "example.com.", "kind": "Native"}],
            {"rrsets": [{"name": f"{NAME}.", "type": "TXT", "ttl": 60, "records": [{"content": '"foreign"'}]}]},
        ),
    ),
    "vultr": Api(
        {"api_key": SECRET},
        (
            {"domains": [{"domain": ZONE}], **GOOD_PAGES},
            {"records": [{"id": "r", "type": "TXT", "name": LABEL, "data": '"foreign"'}], **GOOD_PAGES},
        ),
    ),
}


class _Answering:
    """A transport that gets good answers to the first requests, and one that may be anything to all others."""

    def __init__(self, good: tuple[Any, ...], anything: bytes) -> None:
        self._left = list(good)
        self._anything = anything
        self.sent = 0

    async def request(self, _method: str, url: str, *, max_bytes: int, **_: Any) -> Response:
        self.sent += 1
        if self.sent > MAX_REQUESTS:
            raise AssertionError(f"there is no end of requests: {url}")
        body = json.dumps(self._left.pop(0)).encode() if self._left else self._anything[:max_bytes]
        if self.sent > MAX_PAGES:
            body = b"{}"
        return Response(200, Headers({"Content-Type": "application/json"}), body, url)

    async def aclose(self) -> None:
        """Close nothing."""


def answers(provider: str) -> tuple[bytes, ...]:
    """Return good answers of a provider's API."""
    return tuple(json.dumps(answer).encode() for answer in APIS[provider].answers)


def use(provider: str, anything: bytes) -> list[str]:
    """Have a record added and removed at an API that answers anything, from its first request on, its second...

    Returns:
        What the provider says each time.
    """
    api = APIS[provider]
    said = []
    for number in range(len(api.answers)):
        transport: Any = _Answering(api.answers[:number], anything)
        clock = _Clock()
        context = ProviderContext(
            _no_zone, partial(_given, transport), monotonic=partial(getattr, clock, "now"), sleep=clock.sleep
        )
        made = configure(provider, api.settings).build(context)
        for act in (made.present, made.clean_up):
            try:
                asyncio.run(_within(act([RECORD])))
            except DnsError as error:
                if SECRET.value in str(error):
                    raise AssertionError(f"{provider} shows its credential: {error}") from error
                said.append(str(error))
    return said


async def _within(work: Any) -> None:
    await work


def _given(transport: Any) -> Any:
    return transport


class _Clock:
    """One that only sleeping moves."""

    now = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


async def _no_zone(name: str) -> Zone:
    raise AssertionError(f"{name}: the provider knows its own zones")
