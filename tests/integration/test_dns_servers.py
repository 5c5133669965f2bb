"""Name servers other than BIND: Pebble validates against the zones that the providers wrote there."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from certwright.client import Dns01, Event, Validating, issue
from certwright.dns import ProviderRefused, ProviderUnreachable, TsigKey, TxtRecord, UpdateRefused
from certwright.dns.credential import Credential
from certwright.dns.hosted.text import quoted
from certwright.dns.providers import open_provider
from certwright.dns.providers.powerdns import PowerdnsConfig
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from certwright.http.transport import HttpxTransport
from harness.acme import registered, view_of
from harness.tls_front import tls_front
from testbed.options import PebbleOptions
from testbed.parts.knot import KEY_NAME
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.test_powerdns import OLD, PowerDnsDouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from certwright.dns import Provider
    from testbed.bed import TestBed
    from testbed.parts.knot import Knot
    from testbed.parts.name_server import NameServer
    from testbed.parts.powerdns import PowerDns

WHOLE, PART = "pdns.test", "child.pdns.test"


@pytest.fixture(scope="module")
def powerdns(bed: TestBed) -> Iterator[PowerDns]:
    server = bed.start_powerdns([WHOLE, PART])
    yield server
    bed.end_name_server(server)


@pytest.fixture(scope="module")
def knot(bed: TestBed) -> Iterator[Knot]:
    server = bed.start_knot(["knot.test"])
    yield server
    bed.end_name_server(server)


@asynccontextmanager
async def powerdns_api(bed: TestBed, server: PowerDns) -> AsyncIterator[tuple[str, str]]:
    """The URL of the server's API and the certificates to trust for it."""
    context = bed.authority.server_context(bed.authority.server("powerdns", ["127.0.0.1"]))
    async with tls_front(context, server.ports["api"]) as port:
        yield f"https://127.0.0.1:{port}", bed.authority.pem.decode()


async def issues(bed: TestBed, server: NameServer, provider: Provider) -> None:
    """A wildcard and its domain are validated by a CA that asks the server, and nothing stays in the zone."""
    zone = server.zones[0]
    record = f"_acme-challenge.www.{zone}"
    seen: list[list[str]] = []

    async def look(event: Event) -> None:
        if isinstance(event, Validating):
            seen.append(await asyncio.to_thread(server.txt_values, record))

    pebble = await asyncio.to_thread(bed.start_pebble, f"for-{zone}", PebbleOptions(dns_server=server.address))
    looks: list[asyncio.Task[None]] = []
    try:
        async with registered(pebble) as client:
            await issue(
                client,
                [f"www.{zone}", f"*.www.{zone}"],
                solvers=[Dns01(provider, view_of(server))],
                on_event=lambda event: looks.append(asyncio.create_task(look(event))),
            )
        await asyncio.gather(*looks)
    finally:
        await asyncio.to_thread(bed.end_pebble, pebble)
    assert max(map(len, seen)) == 2, "both values stood in the zone at once"
    assert await asyncio.to_thread(server.txt_values, record) == []


async def test_pebble_validates_against_what_was_written_by_the_api_of_powerdns(
    bed: TestBed, powerdns: PowerDns
) -> None:
    async with (
        powerdns_api(bed, powerdns) as (url, pem),
        open_provider("powerdns", url=url, api_key=powerdns.api_key, ca_bundle=pem) as provider,
    ):
        await issues(bed, powerdns, provider)
        record = TxtRecord(f"_acme-challenge.{PART}", 'with "quotes" and ' + "x" * 300)
        await provider.present([record, TxtRecord(record.name, "foreign", ttl=77)])
        assert await asyncio.to_thread(powerdns.txt_values, record.name) == sorted(["foreign", record.value])
        await provider.clean_up([record])
        assert await asyncio.to_thread(powerdns.txt_values, record.name) == ["foreign"]


async def test_pebble_validates_against_what_was_written_by_updates_of_knot(bed: TestBed, knot: Knot) -> None:
    key = TsigKey(KEY_NAME, knot.tsig_key.secret, knot.tsig_key.algorithm)
    await issues(bed, knot, Rfc2136Provider(knot.address, tsig=key))
    with pytest.raises(UpdateRefused, match=r"knot\.test"):
        await Rfc2136Provider(knot.address).present([TxtRecord("_acme-challenge.knot.test", "unsigned")])


async def test_a_key_that_is_wrong_and_a_certificate_that_is_not_trusted_are_told(
    bed: TestBed, powerdns: PowerDns
) -> None:
    record = TxtRecord(f"_acme-challenge.{WHOLE}", "value")
    async with powerdns_api(bed, powerdns) as (url, pem):
        async with open_provider("powerdns", url=url, api_key=SECRET, ca_bundle=pem) as provider:
            with pytest.raises(ProviderRefused, match=r"HTTP 401\): the key has to be the api-key") as caught:
                await provider.present([record])
            assert SECRET not in str(caught.value)
        async with open_provider("powerdns", url=url, api_key=powerdns.api_key) as provider:
            with pytest.raises(ProviderUnreachable, match="certificate"):
                await provider.present([record])


NAME = f"_acme-challenge.api.{WHOLE}."
VALUE = {"content": quoted("value"), "disabled": False}


def change(kind: str, *records: dict[str, Any], ttl: int = 60) -> dict[str, Any]:
    return {"name": NAME, "type": "TXT", "ttl": ttl, "changetype": kind, "records": list(records)}


CALLS: list[tuple[str, str, list[dict[str, Any]] | None]] = [
    ("GET", "", None),
    ("GET", "/zones?dnssec=false", None),
    ("PATCH", f"/zones/{WHOLE}.", [change("REPLACE", VALUE, {**VALUE, "content": quoted("off"), "disabled": True})]),
    ("GET", f"/zones/{WHOLE}.?rrsets=true&rrset_name={NAME}&rrset_type=TXT", None),
    ("GET", f"/zones/{WHOLE}.?rrsets=true", None),
    ("PATCH", f"/zones/{WHOLE}.", [change("REPLACE", VALUE, VALUE)]),
    ("PATCH", f"/zones/{WHOLE}.", [change("REPLACE", {**VALUE, "content": "no quotes"})]),
    ("PATCH", f"/zones/{WHOLE}.", [change("EXTEND", VALUE)]),
    ("PATCH", "/zones/other.test.", [change("REPLACE", VALUE)]),
    ("PATCH", f"/zones/{WHOLE}.", [change("REPLACE")]),
    ("GET", f"/zones/{WHOLE}.?rrsets=true&rrset_name={NAME}&rrset_type=TXT", None),
]


async def test_the_double_answers_what_powerdns_answers(bed: TestBed, powerdns: PowerDns) -> None:
    """What the provider relies on: status, sets, zones, version."""
    double = PowerDnsDouble(OLD)
    for zone in powerdns.zones:
        double.add_zone(zone)
    config = PowerdnsConfig("https://dns.example.net:8443/pdns", Credential(SECRET))
    async with (
        powerdns_api(bed, powerdns) as (url, pem),
        HttpxTransport(ca_bundle=pem) as transport,
    ):
        for method, path, sets in CALLS:
            content = None if sets is None else json.dumps({"rrsets": sets}).encode()
            answers = []
            for api, base, key in (
                (transport, url, powerdns.api_key),
                (double, config.url, SECRET),
            ):
                headers = {"X-API-Key": key, **({"Content-Type": "application/json"} if content else {})}
                answer = await api.request(
                    method,
                    f"{base}/api/v1/servers/localhost{path}",
                    headers=headers,
                    content=content,
                    max_bytes=1 << 20,
                )
                answers.append((answer.status, relied_on(answer.body)))
            assert answers[0] == answers[1], (method, path, sets)


def relied_on(body: bytes) -> Any:
    try:
        found = json.loads(body) if body else None
    except ValueError:
        return None  # an error in plain text
    if isinstance(found, list):
        return sorted((one["id"], one["name"], one["kind"].lower()) for one in found)
    if not isinstance(found, dict) or "error" in found:
        return None
    sets = [
        (one["name"], one["ttl"], sorted(map(str, one["records"])))
        for one in found.get("rrsets", ())
        if one["type"] == "TXT"
    ]
    return (found.get("version"), sets)
