"""RFC 2136 against BIND: what it accepts, what it refuses, and what is in the zones afterwards."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from certwright.dns import TsigKey, TsigRejected, TxtRecord, UpdateRefused, ZoneNotFound
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from harness.acme import view_of

if TYPE_CHECKING:
    from certwright.dns.update_server import TransportProtocol
    from testbed.parts.bind import Bind

ALGORITHMS = ["hmac-md5", "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"]


def key_of(bind: Bind, name: str) -> TsigKey:
    key = bind.tsig_keys[name]
    return TsigKey(name, key.secret, key.algorithm)


def provider_of(bind: Bind, protocol: TransportProtocol = "TCP") -> Rfc2136Provider:
    return Rfc2136Provider(bind.address, tsig=key_of(bind, bind.main_key[0]), protocol=protocol)


@pytest.fixture
def name(bind: Bind) -> str:
    """A name nobody else uses."""
    return f"_acme-challenge.{secrets.token_hex(6)}.{bind.zones[0]}"


async def values_at(bind: Bind, name: str) -> list[str]:
    zone = next(zone for zone in bind.zones if name.endswith(f".{zone}"))
    return (await asyncio.to_thread(bind.txt_records, zone)).get(name, [])


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_records_come_and_go_with_every_algorithm(
    bind: Bind, name: str, algorithm: str, protocol: TransportProtocol
) -> None:
    provider = Rfc2136Provider(bind.address, tsig=key_of(bind, f"acme-{algorithm}"), protocol=protocol)
    record = TxtRecord(name, "value")

    await provider.present([record])
    assert await values_at(bind, name) == ["value"]
    (seen,) = await view_of(bind).check([record])
    assert seen.complete, seen.describe()

    await provider.clean_up([record])
    assert await values_at(bind, name) == []
    (gone,) = await view_of(bind).check([record])
    assert gone.describe() == f"{bind.address} has no such record"


async def test_removing_one_value_leaves_the_other_at_the_same_name(bind: Bind, name: str) -> None:
    provider = provider_of(bind)
    mine, theirs = TxtRecord(name, "mine"), TxtRecord(name, "theirs")
    await asyncio.gather(provider.present([mine]), provider.present([theirs]))

    await provider.clean_up([mine])
    assert await values_at(bind, name) == ["theirs"]
    seen = await view_of(bind).check([mine, theirs])
    assert [one.complete for one in seen] == [False, True]
    assert seen[0].describe() == f"{bind.address} has 1 other value"

    await provider.clean_up([theirs])


async def test_adding_and_removing_twice_is_as_good_as_once(bind: Bind, name: str) -> None:
    provider = provider_of(bind)
    for _ in range(2):
        await provider.present([TxtRecord(name, "value")])
    assert await values_at(bind, name) == ["value"]
    for _ in range(2):
        await provider.clean_up([TxtRecord(name, "value")])
    assert await values_at(bind, name) == []


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_a_hundred_names_in_two_zones_go_at_once(bind: Bind, protocol: TransportProtocol) -> None:
    label = secrets.token_hex(6)
    records = [TxtRecord(f"n{number}.{label}.{zone}", "v" * 43) for zone in bind.zones[:2] for number in range(50)]
    provider = provider_of(bind, protocol)

    await provider.present(records)
    assert all(seen.complete for seen in await view_of(bind).check(records))
    await provider.clean_up(records)
    for zone in bind.zones[:2]:
        assert not [name for name in await asyncio.to_thread(bind.txt_records, zone) if label in name]


async def test_an_alias_leads_to_the_zone_where_the_record_belongs(bind: Bind, name: str) -> None:
    target = f"{secrets.token_hex(6)}.{bind.zones[1]}"
    await asyncio.to_thread(bind.change, bind.zones[0], "add", f"{name}.", 1, "CNAME", f"{target}.")
    try:
        view, provider = view_of(bind), provider_of(bind)
        assert await view.follow_cname(name) == target
        assert (await view.find_zone(target)).name == bind.zones[1]
        assert (await view.find_zone(name)).name == bind.zones[0]

        # At the alias itself the server takes the record and drops it: the check tells.
        await provider.present([TxtRecord(name, "value")])
        (hidden,) = await view.check([TxtRecord(name, "value")])
        assert hidden.describe() == f"{bind.address} has a CNAME to {target} there, which hides TXT records"

        await provider.present([TxtRecord(target, "value")])
        assert (await view.check([TxtRecord(target, "value")]))[0].complete
        await provider.clean_up([TxtRecord(target, "value")])
        assert await values_at(bind, target) == []
    finally:
        await asyncio.to_thread(bind.change, bind.zones[0], "delete", f"{name}.", "CNAME")


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_a_wrong_secret_an_unknown_key_and_a_forbidden_one_are_told_apart(
    bind: Bind, name: str, protocol: TransportProtocol
) -> None:
    main = key_of(bind, bind.main_key[0])
    outsider = key_of(bind, "outsider")
    wrong = TsigKey(main.name, outsider.secret_base64, main.algorithm)
    unknown = TsigKey("nobody-knows-me", main.secret_base64, main.algorithm)
    other_algorithm = TsigKey(main.name, main.secret_base64, "HMACSHA512")
    records = [TxtRecord(name, "value")]

    for key, reason in ((wrong, "BADSIG"), (unknown, "BADKEY"), (other_algorithm, "BADKEY")):
        with pytest.raises(TsigRejected, match=key.name) as rejected:
            await Rfc2136Provider(bind.address, tsig=key, protocol=protocol).present(records)
        assert rejected.value.reason == reason
        assert key.secret_base64 not in str(rejected.value)

    with pytest.raises(UpdateRefused, match="its update policy does not allow the key outsider") as refused:
        await Rfc2136Provider(bind.address, tsig=outsider, protocol=protocol).present(records)
    assert (refused.value.zone, refused.value.rcode) == (bind.zones[0], "REFUSED")

    with pytest.raises(UpdateRefused, match="does not allow unsigned updates"):
        await Rfc2136Provider(bind.address, protocol=protocol).present(records)
    assert await values_at(bind, name) == []


async def test_a_zone_that_is_not_there_is_named_and_the_others_are_served(bind: Bind, name: str) -> None:
    provider = provider_of(bind)
    here, nowhere = TxtRecord(name, "value"), TxtRecord("_acme-challenge.elsewhere.invalid", "value")
    with pytest.raises(ZoneNotFound, match=r"elsewhere\.invalid.*REFUSED") as caught:
        await provider.present([nowhere, here])

    assert caught.value.names == (nowhere.name,)
    assert await values_at(bind, name) == ["value"]
    await provider.clean_up([here])
