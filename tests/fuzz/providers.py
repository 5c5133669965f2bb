"""DNS providers whose API answers anything: each tells a `DnsError`, to whichever request the answer comes."""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from certwright.dns import TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.errors import DnsError, ZoneNotFound
from certwright.dns.provider import ProviderContext
from certwright.dns.providers import configure
from certwright.http.message import Headers, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Zone

ZONE, LABEL, NAME = "example.com", "_acme-challenge", "_acme-challenge.example.com"
SECRET: Final = Credential("s3cr3t")
RECORD: Final = TxtRecord(NAME, "wanted")
FOREIGN: Final = TxtRecord(NAME, "foreign")
"""What the good answers have, so that it is there to be removed."""
GOOD_PAGES: Final = {"links": {}, "meta": {"total": 1, "links": {"next": ""}, "pagination": {"next_page": None}}}
MAX_PAGES: Final = 12
"""A list that never ends is read 500 pages of, which takes long: after so many answers there is nothing more."""
MAX_REQUESTS: Final = 2000
STATUSES: Final = (200, 200, 200, 200, 400, 401, 403, 404, 409, 412, 422, 301)
"""What the answers that may be anything come with."""
LINK: Final = '<https://api.example.net/x?cursor={0}&page={0}>; rel="next"'
"""To a next page, of whatever host: the number of the request."""
AWS: Final = "https://route53.amazonaws.com/doc/2013-04-01/"


@cache
def _google_key() -> Credential:
    """Return the JSON of a service account key."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = rsa.generate_private_key(65537, 2048).private_bytes(*form).decode()
    found = {"type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": pem}
    return Credential(json.dumps(found))


def _acme_dns_account() -> Credential:
    account = {"fulldomain": NAME, "subdomain": "a", "username": "user", "password": SECRET.value}
    return Credential(json.dumps({ZONE: account}))


def _xml(text: str) -> bytes:
    name, _, rest = text.partition(">")
    return f'<?xml version="1.0"?><{name} xmlns="{AWS}">{rest}'.encode()


@dataclass(frozen=True)
class Api:
    """What is fuzzed of a provider.

    Attributes:
        settings: Of its configuration; a function is called for it.
        answers: What it says to the first requests: a token if it gives one, zones, records; the last of them again
            and again. They are JSON, or octets as they are.
    """

    settings: Mapping[str, Any]
    answers: tuple[Any, ...]

    @property
    def is_json(self) -> bool:
        """Whether it speaks JSON."""
        return not any(isinstance(answer, bytes) for answer in self.answers)


APIS: Final[Mapping[str, Api]] = {
    "acme_dns": Api({"host": "https://auth.example.net", "account": _acme_dns_account}, ({"txt": RECORD.value},)),
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
    "cloud_dns": Api(
        {"project": "shop-dns-1", "service_account": _google_key},
        (
            {"access_token": "t0ken", "expires_in": 3599, "token_type": "Bearer"},
            {"managedZones": [{"name": "z", "dnsName": f"{ZONE}.", "visibility": "public"}]},
            {"rrsets": [{"name": f"{NAME}.", "type": "TXT", "ttl": 60, "rrdatas": ['"foreign"']}]},
            {"kind": "dns#change", "id": "1", "status": "pending"},
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
    "desec": Api(
        {"token": SECRET},
        (
            [{"name": ZONE, "minimum_ttl": 3600}],
            {"name": f"{NAME}.", "subname": LABEL, "type": "TXT", "ttl": 3600, "records": ['"foreign"']},
        ),
    ),
    "digitalocean": Api(
        {"token": SECRET},
        (
            {"domains": [{"name": ZONE}], **GOOD_PAGES},
            {"domain_records": [{"id": 1, "type": "TXT", "name": LABEL, "data": "foreign"}], **GOOD_PAGES},
        ),
    ),
    "gandi": Api(
        {"token": SECRET},
        (
            [{"fqdn": ZONE}],
            {"rrset_name": LABEL, "rrset_type": "TXT", "rrset_ttl": 300, "rrset_values": ['"foreign"']},
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
    "http_request": Api({"url": "https://dns.example.net/acme", "username": SECRET, "password": SECRET}, ({},)),
    "infomaniak": Api(
        {"token": SECRET},
        (
            {"result": "success", "data": True},
            {
                "result": "success",
                "data": [{"id": 1, "source": LABEL, "type": "TXT", "target": '"foreign"'}],
                "page": 1,
                "pages": 1,
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
    "route53": Api(
        {"access_key_id": Credential("AKIAIOSFODNN7EXAMPLE"), "secret_access_key": SECRET},
        (
            _xml(
                "ListHostedZonesByNameResponse><HostedZones><HostedZone><Id>/hostedzone/Z1</Id><Name>example.com.</Name>"
                "<Config><PrivateZone>false</PrivateZone></Config></HostedZone></HostedZones>"
                "<IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesByNameResponse>"
            ),
            _xml(
                f"ListResourceRecordSetsResponse><ResourceRecordSets><ResourceRecordSet><Name>{NAME}.</Name>"
                "<Type>TXT</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>&quot;foreign&quot;</Value>"
                "</ResourceRecord></ResourceRecords></ResourceRecordSet></ResourceRecordSets>"
                "<IsTruncated>false</IsTruncated></ListResourceRecordSetsResponse>"
            ),
            _xml(
                "ErrorResponse><Error><Type>Sender</Type><Code>InvalidChangeBatch</Code></Error>"
                "<RequestId>1</RequestId></ErrorResponse>"
            ),
        ),
    ),
    "scaleway": Api(
        {"secret_key": SECRET},
        (
            {"dns_zones": [{"domain": ZONE, "subdomain": "", "project_id": "p"}], "total_count": 1},
            {"records": [{"id": "r", "name": LABEL, "type": "TXT", "data": '"foreign"'}], "total_count": 1},
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

    def __init__(self, good: tuple[bytes, ...], anything: bytes) -> None:
        self._left = list(good)
        self._anything = anything
        self.sent = 0

    async def request(self, _method: str, url: str, *, max_bytes: int, **_: Any) -> Response:
        self.sent += 1
        if self.sent > MAX_REQUESTS:
            raise AssertionError(f"there is no end of requests: {url}")
        fields = {"Content-Type": "application/json", "Metadata-Flavor": "Google"}
        if self._left:
            return Response(200, Headers(fields), self._left.pop(0), url)
        if self.sent > MAX_PAGES:
            return Response(200, Headers(fields), b"{}", url)
        # Not by chance: the same input gets the same.
        status = STATUSES[(zlib.crc32(self._anything) + self.sent) % len(STATUSES)]
        body = self._anything[:max_bytes]
        return Response(status, Headers({**fields, "Link": LINK.format(self.sent)}), body, url)

    async def aclose(self) -> None:
        """Close nothing."""


def answers(provider: str) -> tuple[bytes, ...]:
    """Return good answers of a provider's API."""
    found = APIS[provider].answers
    return tuple(one if isinstance(one, bytes) else json.dumps(one).encode() for one in found)


def use(provider: str, anything: bytes) -> list[str]:
    """Have a record added and removed at an API that answers anything, from its first request on, its second...

    Returns:
        What the provider says each time.
    """
    good = answers(provider)
    given = APIS[provider].settings
    settings = {name: value() if callable(value) else value for name, value in given.items()}
    said = []
    for number in range(len(good)):
        transport: Any = _Answering(good[:number], anything)
        clock = _Clock()
        context = ProviderContext(
            _no_zone, partial(_given, transport), monotonic=partial(getattr, clock, "now"), sleep=clock.sleep
        )
        made = configure(provider, settings).build(context)
        for act in (made.present([RECORD]), made.clean_up([RECORD, FOREIGN])):
            try:
                asyncio.run(_within(act))
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
    """Find nothing: only what it says of a zone in the DNS is of use to one that does not know its own."""
    raise ZoneNotFound(f"{name} is in no zone")
