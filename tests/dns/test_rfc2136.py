from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import dns.flags
import dns.message
import dns.rcode
import dns.tsig
import dns.update
import pytest

from certwright.dns import (
    TSIG_ALGORITHMS,
    NameserverUnreachable,
    TsigKey,
    TsigRejected,
    TxtRecord,
    UpdateRefused,
    UpdatesFailed,
    Zone,
    ZoneNotFound,
)
from certwright.dns.providers.rfc2136 import MAX_TCP_MESSAGE, MAX_UDP_MESSAGE, Rfc2136Provider

if TYPE_CHECKING:
    from certwright.dns.update_server import TransportProtocol
    from tests.fakes.dns import Answer, FakeNameserver, Start, Zones

SECRET = base64.b64encode(b"0123456789abcdef" * 2).decode()
KEY = TsigKey("acme-key", SECRET)
RECORD = TxtRecord("_acme-challenge.example.test", "v")


class Primary:
    """A server of zones that takes down the updates it gets and answers them with a code."""

    def __init__(self, lookup: Zones, rcode: str = "NOERROR") -> None:
        self.lookup = lookup
        self.rcode = rcode
        self.lost = 0
        self.updates: list[tuple[str, dns.message.Message]] = []

    def __call__(self, message: dns.message.Message, protocol: str) -> Answer:
        if not isinstance(message, dns.update.UpdateMessage):
            return self.lookup(message, protocol)
        if self.lost:
            self.lost -= 1
            return None
        self.updates.append((protocol, message))
        answer = dns.message.make_response(message)
        answer.set_rcode(dns.rcode.from_text(self.rcode))
        return answer

    def records(self) -> list[tuple[str, str, int, str]]:
        """Each update record: zone, name, TTL, what it is."""
        return [
            (
                str(message.sections[0][0].name),
                str(rrset.name),
                rrset.ttl,
                f"{'delete' if rrset.deleting else 'add'} {rrset[0]}",
            )
            for _, message in self.updates
            for rrset in message.sections[2]
        ]


@pytest.fixture
def primary(zones: type[Zones]) -> Primary:
    return Primary(zones(("example.test", "acme.test"), {}))


async def test_records_are_added_and_removed_one_by_one(start: Start, primary: Primary) -> None:
    provider = Rfc2136Provider(str(await start(primary)), ttl=7)
    await provider.present([RECORD])
    await provider.clean_up([RECORD])

    zone, name = "example.test.", "_acme-challenge.example.test."
    assert primary.records() == [(zone, name, 7, 'add "v"'), (zone, name, 0, 'delete "v"')]


async def test_the_zone_and_the_ttl_are_those_that_the_solver_names(start: Start, primary: Primary) -> None:
    record = TxtRecord("_acme-challenge.www.example.test", "v", zone="www.example.test", ttl=300)
    await Rfc2136Provider(str(await start(primary))).present([record])
    assert primary.records() == [("www.example.test.", "_acme-challenge.www.example.test.", 300, 'add "v"')]


async def test_there_is_one_message_for_each_zone(start: Start, primary: Primary) -> None:
    records = [
        TxtRecord(f"n{number}.{zone}", "v" * 43) for zone in ("example.test", "acme.test") for number in range(50)
    ]
    await Rfc2136Provider(str(await start(primary))).present(records * 2)

    assert len(primary.updates) == 2
    assert sorted(name.rstrip(".") for _, name, _, _ in primary.records()) == sorted(record.name for record in records)


@pytest.mark.parametrize(("protocol", "limit"), [("TCP", MAX_TCP_MESSAGE), ("UDP", MAX_UDP_MESSAGE)])
async def test_no_message_is_larger_than_it_may_be(
    start: Start, primary: Primary, protocol: TransportProtocol, limit: int
) -> None:
    server = await start(primary, keyring=KEY.to_dnspython())
    records = [TxtRecord(f"n{number}.some.longer.name.example.test", "v" * 43) for number in range(300)]
    await Rfc2136Provider(str(server), tsig=KEY, protocol=protocol).present(records)

    sizes = [len(message.wire or b"") for _, message in primary.updates]
    assert max(sizes) <= limit
    assert len(primary.records()) == 300
    # They are filled: compression in the message makes them smaller than reckoned, not by more than half.
    assert min(sizes[:-1]) > limit / 3
    assert {sent for sent, _ in primary.updates} == {protocol}


async def test_a_value_longer_than_one_string_is_split(start: Start, primary: Primary) -> None:
    await Rfc2136Provider(str(await start(primary))).present([TxtRecord("a.example.test", "x" * 300)])
    assert primary.records()[0][3] == f'add "{"x" * 255}" "{"x" * 45}"'


@pytest.mark.parametrize("algorithm", TSIG_ALGORITHMS)
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_updates_are_signed_with_every_algorithm(
    start: Start, primary: Primary, algorithm: str, protocol: TransportProtocol
) -> None:
    key = TsigKey("acme-key", SECRET, algorithm)
    server = await start(primary, keyring=key.to_dnspython())
    await Rfc2136Provider(str(server), tsig=key, protocol=protocol).present([RECORD])

    ((sent, message),) = primary.updates
    assert sent == protocol
    assert message.had_tsig


@pytest.mark.parametrize(
    ("rcode", "key", "words"),
    [
        ("REFUSED", KEY, "its update policy does not allow the key acme-key"),
        ("REFUSED", None, "does not allow unsigned updates"),
        ("NOTAUTH", KEY, "not a primary server"),
        ("NOTZONE", KEY, "not within that zone"),
        ("NOTIMP", KEY, "does not support dynamic updates"),
        ("SERVFAIL", KEY, "see its log"),
        ("YXDOMAIN", KEY, "YXDOMAIN"),
    ],
)
async def test_a_refusal_is_explained(
    start: Start, primary: Primary, rcode: str, key: TsigKey | None, words: str
) -> None:
    primary.rcode = rcode
    server = await start(primary, keyring=KEY.to_dnspython())
    with pytest.raises(UpdateRefused, match=words) as caught:
        await Rfc2136Provider(str(server), tsig=key).present([RECORD])

    assert (caught.value.server, caught.value.zone, caught.value.rcode) == (str(server), "example.test", rcode)
    assert caught.value.names == (RECORD.name,)
    assert str(server) in str(caught.value)
    assert "zone example.test" in str(caught.value)


def with_tsig_error(code: int) -> Any:
    """A server that rejects every signature, as RFC 8945 section 5.2 wants it told."""

    def handler(message: dns.message.Message, _: str) -> Answer:
        answer = dns.message.make_response(message, tsig_error=code)
        answer.set_rcode(dns.rcode.NOTAUTH)
        return answer

    return handler


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        (16, "BADSIG", "has a different secret"),
        (17, "BADKEY", "does not know the TSIG key"),
        (18, "BADTIME", "compare the clocks"),
        (22, "BADTRUNC", "longer signatures"),
    ],
)
async def test_each_way_of_rejecting_a_key_is_told_apart(start: Start, code: int, reason: str, words: str) -> None:
    server = await start(with_tsig_error(code), keyring=KEY.to_dnspython())
    with pytest.raises(TsigRejected, match=f"{words}.*acme-key") as caught:
        await Rfc2136Provider(str(server), tsig=KEY).present([RECORD])

    assert (caught.value.reason, caught.value.key_name, caught.value.server) == (reason, "acme-key", str(server))
    assert SECRET not in f"{caught.value}{caught.value!r}"


@pytest.mark.parametrize("rcode", ["NOERROR", "NXDOMAIN", "REFUSED", "NOTIMP"])
async def test_an_answer_without_a_signature_is_not_believed(start: Start, rcode: str) -> None:
    def unsigned(message: dns.message.Message, _: str) -> Answer:
        answer = dns.message.make_response(message)
        answer.set_rcode(dns.rcode.from_text(rcode))
        answer.want_tsig_sign = False
        answer.tsig = None
        return answer

    server = await start(unsigned, keyring=KEY.to_dnspython())
    with pytest.raises(TsigRejected, match="does not sign"):
        await Rfc2136Provider(str(server), tsig=KEY).present([RECORD])


async def test_an_answer_signed_with_another_secret_is_not_believed(start: Start) -> None:
    other = TsigKey("acme-key", base64.b64encode(b"x" * 32).decode()).to_dnspython()

    def forged(message: dns.message.Message, _: str) -> Answer:
        answer = dns.message.make_response(message)
        answer.use_tsig(other)
        return answer

    server = await start(forged, keyring=KEY.to_dnspython())
    with pytest.raises(TsigRejected, match="with our TSIG key") as caught:
        await Rfc2136Provider(str(server), tsig=KEY).present([RECORD])
    assert caught.value.reason == "ANSWER"


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_it_asks_before_each_message_and_sends_nothing_when_it_may_not(
    start: Start, primary: Primary, protocol: TransportProtocol
) -> None:
    class Stopped(asyncio.CancelledError):
        pass

    asked: list[str] = []

    def before_send() -> None:
        asked.append(protocol)
        if primary.updates:
            raise Stopped

    received: list[str] = []

    def counting(message: dns.message.Message, by: str) -> Answer:
        received.append(by)
        return primary(message, by)

    provider = Rfc2136Provider(str(await start(counting)), protocol=protocol, before_send=before_send)
    await provider.present([RECORD])
    assert asked == received
    before = len(received)
    with pytest.raises(asyncio.CancelledError):
        await provider.clean_up([RECORD])
    assert (len(asked), len(received)) == (before + 1, before)


async def test_it_asks_when_the_connection_is_there_which_may_take_seconds(unused_tcp_port: int) -> None:
    asked: list[str] = []
    with pytest.raises(NameserverUnreachable):
        await Rfc2136Provider(f"127.0.0.1:{unused_tcp_port}", before_send=lambda: asked.append("asked")).present(
            [RECORD]
        )
    assert asked == []


async def test_a_lost_datagram_is_sent_again(start: Start, primary: Primary) -> None:
    primary.lost = 1
    await Rfc2136Provider(str(await start(primary)), protocol="UDP", timeout=4).present([RECORD])
    assert len(primary.updates) == 1


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_a_server_that_is_down_is_named(unused_tcp_port: int, protocol: TransportProtocol) -> None:
    with pytest.raises(NameserverUnreachable, match=f"127.0.0.1:{unused_tcp_port}.*connection refused") as caught:
        await Rfc2136Provider(f"127.0.0.1:{unused_tcp_port}", protocol=protocol).present([RECORD])
    assert caught.value.names == (RECORD.name,)


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_a_silent_server_is_given_up(start: Start, protocol: TransportProtocol) -> None:
    server = await start(lambda *_: None)
    async with asyncio.timeout(60):
        with pytest.raises(NameserverUnreachable) as caught:
            await Rfc2136Provider(str(server), protocol=protocol, timeout=0.2).present([RECORD])
    assert caught.value.timed_out


async def test_a_zone_that_refuses_does_not_keep_the_others_from_theirs(start: Start, zones: type[Zones]) -> None:
    primary = Primary(zones(("example.test", "acme.test"), {}))

    def handler(message: dns.message.Message, protocol: str) -> Answer:
        refuses = str(message.sections[0][0].name) == "acme.test."
        primary.rcode = "REFUSED" if refuses else "NOERROR"
        return primary(message, protocol)

    server = await start(handler)
    records = [TxtRecord("b.acme.test", "v"), RECORD, TxtRecord("a.nowhere", "v"), TxtRecord("a.acme.test", "v")]
    with pytest.raises(UpdatesFailed) as caught:
        await Rfc2136Provider(str(server)).present(records)

    assert caught.value.names == ("a.acme.test", "a.nowhere", "b.acme.test")
    assert {type(error): error.names for error in caught.value.errors} == {
        UpdateRefused: ("a.acme.test", "b.acme.test"),
        ZoneNotFound: ("a.nowhere",),
    }
    assert ("example.test.", "_acme-challenge.example.test.", 60, 'add "v"') in primary.records()


async def test_the_world_is_asked_for_a_zone_that_the_server_does_not_tell(start: Start, zones: type[Zones]) -> None:
    primary = Primary(zones((), {}))
    asked: list[str] = []

    async def find_zone(name: str) -> Zone:
        asked.append(name)
        return Zone("example.test")

    server = await start(primary)
    await Rfc2136Provider(str(server), zones=find_zone).present([RECORD])
    assert asked == [RECORD.name]
    assert primary.records()[0][0] == "example.test."

    with pytest.raises(ZoneNotFound, match=r"REFUSED"):
        await Rfc2136Provider(str(server)).present([RECORD])


async def test_the_zone_of_a_name_is_looked_up_once(start: Start, primary: Primary) -> None:
    server: FakeNameserver = await start(primary)
    provider = Rfc2136Provider(str(server))
    for _ in range(3):
        await provider.present([RECORD, TxtRecord(RECORD.name, "w")])
    assert [kind for _, name, kind in server.asked if name == RECORD.name] == ["SOA"]


async def test_nothing_to_do_sends_nothing(start: Start, primary: Primary) -> None:
    server = await start(primary)
    await Rfc2136Provider(str(server)).present([])
    await Rfc2136Provider(str(server)).clean_up([])
    assert server.asked == []
