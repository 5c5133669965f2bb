"""A DNS in trouble, of real servers: one of three is stale, fails or does not know the zone; a resolver has cached that
there is no such name, or fails; CNAMEs are a loop. Each is told in the words that a person reads.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.challenges.dns01 import until_seen
from certwright.challenges.errors import NotVisible
from certwright.dns import CnameLoop, DnsView, ResolutionFailed, TsigKey, TxtRecord
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from harness.manifests import issuer
from harness.name_servers import ZoneResolver, ZoneServer
from testbed.ports import allocator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Tenant
    from testbed.bed import TestBed

FIRST, SECOND, THIRD, NOBODY = (f"127.0.7.{number}" for number in range(2, 6))
NEGATIVE_SECONDS: Final = 600
"""How long a resolver may remember that there is no such name (RFC 2308)."""
ZONES: Final = ("stale.test", "failing.test", "lame.test")
BOGUS: Final = "bogus.test"
DNSSEC: Final = "the DNSSEC of the zone is broken"


def zone(name: str) -> str:
    return f"""\
$TTL 1
$ORIGIN {name}.
@ {NEGATIVE_SECONDS} IN SOA ns1 hostmaster 1 3600 3600 86400 {NEGATIVE_SECONDS}
@   IN NS  ns1
@   IN NS  ns2
@   IN NS  ns3
ns1 IN A   {FIRST}
ns2 IN A   {SECOND}
ns3 IN A   {THIRD}
_acme-challenge.loop IN CNAME _acme-challenge.back
_acme-challenge.back IN CNAME _acme-challenge.loop
_acme-challenge.cut IN NS ns2
*.text IN TXT "v=spf1 -all"
*.alias IN CNAME elsewhere
"""


@dataclass
class Servers:
    """The name servers of three zones: the first has all; the second gets its changes in one zone, the third in none.

    In `failing.test` two of them have a file that cannot be loaded; in `lame.test` two do not know the zone.
    """

    resolver: ZoneResolver
    first: ZoneServer
    second: ZoneServer
    third: ZoneServer
    port: int

    def view(self, **settings: Any) -> DnsView:
        return DnsView(resolvers=[self.resolver.address], nameserver_port=self.port, timeout=5.0, **settings)


@pytest.fixture(scope="module")
def servers(bed: TestBed) -> Iterator[Servers]:
    port = allocator.take()
    files = {name: zone(name) for name in (*ZONES, BOGUS)}

    def server(address: str, **zones: str) -> ZoneServer:
        text = "".join(f"  - domain: {name}.test\n    {settings}\n" for name, settings in zones.items())
        broken = {"broken": "no zone file\n"}
        return ZoneServer(bed, address, port, zones=text, files=files | broken, first=FIRST, second=SECOND)

    known = {**dict.fromkeys((*ZONES, BOGUS), FIRST), "gone.test": NOBODY}
    found = Servers(
        ZoneResolver(bed, port, known, [BOGUS]),
        server(
            FIRST,
            stale="file: stale.test\n    notify: second",
            failing="file: failing.test",
            lame="file: lame.test",
            bogus="file: bogus.test",
        ),
        server(SECOND, stale="master: first", failing="file: broken"),
        server(THIRD, stale="file: stale.test", failing="file: broken"),
        port,
    )
    parts = [found.first, found.second, found.third, found.resolver]
    try:
        for part in parts:
            part.start()
        yield found
    finally:
        for part in parts:
            part.stop()


async def test_each_trouble_of_servers_that_the_dns_names_is_told_with_the_server_that_has_it(
    bed: TestBed, servers: Servers
) -> None:
    name, key = bed.bind.main_key
    view = servers.view()
    provider = Rfc2136Provider(servers.first.address, tsig=TsigKey(name, key.secret, key.algorithm))
    records = [TxtRecord(f"_acme-challenge.www.{zone}", "wanted") for zone in ZONES]
    await provider.present(records)
    stale, failing, lame = records

    async def transferred() -> None:
        at_second = DnsView(authoritative=[servers.second.address])
        while not (await at_second.check([stale]))[0].complete:  # noqa: ASYNC110 - a transfer has no event
            await asyncio.sleep(0.05)

    async with asyncio.timeout(60):
        await transferred()
    with pytest.raises(NotVisible) as caught:
        await until_seen(view.check, records, seconds=0.1, required=True)
    where = {number: f"(127.0.7.{number}:{servers.port})" for number in (2, 3, 4)}
    failed, refused = "it failed to answer (SERVFAIL)", "it refuses to answer (REFUSED)"
    assert str(caught.value) == (
        "after 0.1 s not all name servers have the TXT records. "
        f"{stale.name}: ns3.stale.test {where[4]} has no such record; ns1.stale.test {where[2]} has it; "
        f"ns2.stale.test {where[3]} has it; "
        f"{failing.name}: ns2.failing.test {where[3]} gave no answer: {failed}; "
        f"ns3.failing.test {where[4]} gave no answer: {failed}; ns1.failing.test {where[2]} has it; "
        f"{lame.name}: ns2.lame.test {where[3]} gave no answer: {refused}; "
        f"ns3.lame.test {where[4]} gave no answer: {refused}; ns1.lame.test {where[2]} has it"
    )


async def test_a_loop_of_cnames_and_a_zone_that_nobody_serves_are_told_by_a_resolver(servers: Servers) -> None:
    view = servers.view()
    with pytest.raises(CnameLoop) as looped:
        await view.follow_cname("_acme-challenge.loop.stale.test")
    assert str(looped.value) == (
        "the chain of CNAME records at _acme-challenge.loop.stale.test is a loop: "
        "_acme-challenge.loop.stale.test -> _acme-challenge.back.stale.test -> _acme-challenge.loop.stale.test"
    )
    with pytest.raises(ResolutionFailed) as failed:
        await view.follow_cname("_acme-challenge.www.gone.test")
    assert str(failed.value) == (
        "no resolver could say what CNAME records _acme-challenge.www.gone.test has: "
        f"{servers.resolver.address}: it failed to answer (SERVFAIL)"
    )


async def test_broken_dnssec_is_told_by_a_resolver_that_validates(servers: Servers) -> None:
    view = servers.view(views=["recursive"])
    with pytest.raises(ResolutionFailed) as failed:
        await view.follow_cname(f"_acme-challenge.www.{BOGUS}")
    [seen] = await view.check([TxtRecord(f"_acme-challenge.www.{BOGUS}", "wanted")])
    for text in (str(failed.value), seen.describe()):
        assert f"{servers.resolver.address}" in text
        assert DNSSEC in text


async def test_a_zone_cut_at_the_name_is_told_and_wildcards_are_not_in_the_way(bed: TestBed, servers: Servers) -> None:
    view = servers.view()
    [cut] = await view.check([TxtRecord("_acme-challenge.cut.stale.test", "wanted")])
    assert not cut.complete
    assert "_acme-challenge.cut.stale.test" in cut.describe()

    name, key = bed.bind.main_key
    provider = Rfc2136Provider(servers.first.address, tsig=TsigKey(name, key.secret, key.algorithm))
    at_first = DnsView(
        resolvers=[servers.resolver.address], authoritative=[servers.first.address], nameserver_port=servers.port
    )
    for below in ("text", "alias"):
        record = TxtRecord(f"_acme-challenge.{below}.stale.test", "wanted")
        [before] = await at_first.check([record])
        assert not before.complete
        assert await at_first.follow_cname(record.name) == record.name, "an alias that only the wildcard makes"
        await provider.present([record])
        [after] = await at_first.check([record])
        assert after.complete, after.describe()
        await provider.clean_up([record])


def test_the_certificate_of_each_says_what_is_wrong_where(tenant: Tenant, servers: Servers) -> None:
    def solver(*authoritative: ZoneServer, **settings: Any) -> dict[str, Any]:
        spec = issuer(tenant.bed, tenant.namespace, dns_server=servers.first.address)
        dns01 = spec["spec"]["acme"]["solvers"][0]["dns01"]
        asked = {
            "nameservers": [servers.resolver.address],
            "authoritativeNameservers": [one.address for one in authoritative],
            "propagationTimeout": "2s",
        }
        return {"solvers": [{"dns01": {**dns01, **asked, **settings}}]}

    three = (servers.first, servers.second, servers.third)
    tenant.add_issuer("three", **solver(*three))
    tenant.add_issuer("cached", **solver(servers.first, selfCheckViews=["authoritative", "recursive"]))
    first, second, third = (one.address for one in three)
    failed, refused = "it failed to answer (SERVFAIL)", "it refuses to answer (REFUSED)"
    expected = {
        "web.stale.test": ("three", "RecordNotVisible", f"{third} has no such record; {first} has it; {second} has it"),
        "web.failing.test": (
            "three",
            "RecordNotVisible",
            f"{second} gave no answer: {failed}; {third} gave no answer: {failed}; {first} has it",
        ),
        "web.lame.test": (
            "three",
            "RecordNotVisible",
            f"{second} gave no answer: {refused}; {third} gave no answer: {refused}; {first} has it",
        ),
        # That there is no such name was asked before the record was there: where a CNAME would lead.
        "cached.stale.test": (
            "cached",
            "RecordNotVisible",
            f"the resolver {servers.resolver.address} has no such record and remembers that for 10 min; {first} has it",
        ),
        "loop.stale.test": ("three", "CNAMELoop", "is a loop: _acme-challenge.loop.stale.test -> _acme-challenge.back"),
        "web.bogus.test": ("three", "DNSLookupFailed", DNSSEC),
        "web.gone.test": ("three", "DNSLookupFailed", f"{servers.resolver.address}: {failed}"),
    }
    for name, (issuer_name, _, _) in expected.items():
        tenant.apply(name.replace(".", "-"), name, issuerRef={"name": issuer_name})
    for name, (_, reason, message) in expected.items():
        assert message in tenant.not_ready(name.replace(".", "-"), reason)["message"]
