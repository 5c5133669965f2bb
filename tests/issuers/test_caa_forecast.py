"""CAA records are looked at before the CA does: what is said, through whose resolvers, and that nothing fails by it."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import ConnectionFailed
from certwright.dns import DnsView
from certwright.issuers import caa_forecast as module
from certwright.issuers.caa_forecast import MAX_VIEWS, CaaForecast
from certwright.resources import AcmeIssuerSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.dns import FakeNameserver, Start, Zones

ACCOUNT = "https://ca.example/account/1"
IDENTITIES = ("ca.example", "ca.example.net")

SETTINGS: dict[str, dict[str, Any]] = {
    "dns01": {"rfc2136": {"nameserver": "ns.example"}},
    "http01": {"ingress": {}},
    "tlsAlpn01": {"service": {"type": "NodePort"}},
}


def issuer(
    *nameservers: str,
    identities: Sequence[str] | Exception = IDENTITIES,
    challenge: str = "dns01",
    better: Sequence[str] = (),
) -> Any:
    async def directory() -> Any:
        if isinstance(identities, Exception):
            raise identities
        return SimpleNamespace(meta=SimpleNamespace(caa_identities=tuple(identities)))

    solvers = [{challenge: {**SETTINGS[challenge], "nameservers": list(nameservers)}}]
    spec = {
        "server": "https://ca.example/d",
        "privateKeySecretRef": {"name": "account"},
        "solvers": [*({name: {**SETTINGS[name], "nameservers": ["192.0.2.53"]}} for name in better), *solvers],
    }
    client = SimpleNamespace(server=SimpleNamespace(directory=directory))
    return SimpleNamespace(
        key="Issuer shop/ca", spec=AcmeIssuerSpec.model_validate(spec), client=client, account_url=ACCOUNT
    )


@pytest.fixture
def forecast() -> CaaForecast:
    return CaaForecast(lambda servers: DnsView(resolvers=servers, timeout=5))


@pytest.fixture
async def resolver(start: Start, zones: type[Zones]) -> FakeNameserver:
    records = {
        "example.test": {"CAA": ['0 issue "other.example"']},
        "mine.example.test": {"CAA": ['0 issue "ca.example"']},
        "account.example.test": {"CAA": ['0 issue "ca.example; accounturi=https://ca.example/account/2"']},
        "http.example.test": {"CAA": ['0 issue "ca.example; validationmethods=http-01"']},
        "new.example.test": {"CAA": ['128 tbs "x"', '0 issue "ca.example"']},
        "wild.example.test": {"CAA": ['0 issue "ca.example"', '0 issuewild ";"']},
    }
    return await start(zones(("example.test",), records))


async def test_what_keeps_the_ca_from_issuing_is_said_with_the_record_that_lets_it(
    forecast: CaaForecast, resolver: FakeNameserver
) -> None:
    names = [
        "www.example.test",
        "mine.example.test",
        "account.example.test",
        "http.example.test",
        "*.wild.example.test",
    ]
    found = await forecast.objections(issuer(str(resolver)), dict.fromkeys(names, "dns-01"), {})
    assert found == {
        "www.example.test": "the CAA records of example.test let other.example issue, not ca.example or "
        'ca.example.net; a record that would allow it: example.test. CAA 0 issue "ca.example"',
        "account.example.test": "the CAA records of account.example.test let ca.example issue for the account "
        "https://ca.example/account/2 only; a record that would allow it: "
        'account.example.test. CAA 0 issue "ca.example"',
        "http.example.test": "the CAA records of http.example.test let ca.example issue by http-01 only; a record "
        'that would allow it: http.example.test. CAA 0 issue "ca.example"',
        "*.wild.example.test": "the CAA records of wild.example.test let nobody issue, not ca.example or "
        'ca.example.net; a record that would allow it: wild.example.test. CAA 0 issuewild "ca.example"',
    }


async def test_the_method_counts_that_the_solver_of_a_name_uses(
    forecast: CaaForecast, resolver: FakeNameserver
) -> None:
    by_http = issuer(str(resolver), challenge="http01")
    assert await forecast.objections(by_http, {"http.example.test": "http-01"}, {}) == {}


@pytest.mark.parametrize(
    ("challenge", "better", "method"),
    [("tlsAlpn01", (), "tls-alpn-01"), ("http01", ("tlsAlpn01",), "http-01"), ("dns01", ("http01",), "dns-01")],
)
async def test_the_name_servers_count_of_the_solver_that_validates_a_name(
    forecast: CaaForecast, resolver: FakeNameserver, challenge: str, better: Sequence[str], method: str
) -> None:
    found = await forecast.objections(
        issuer(str(resolver), challenge=challenge, better=better), {"www.example.test": method}, {}
    )
    assert list(found) == ["www.example.test"]


async def test_no_record_is_advised_where_none_would_help(forecast: CaaForecast, resolver: FakeNameserver) -> None:
    found = await forecast.objections(issuer(str(resolver)), {"new.example.test": "dns-01"}, {})
    assert found == {
        "new.example.test": "new.example.test has a critical CAA record of a kind that CAs do not know (tbs): only "
        "without it does a CA issue"
    }


async def test_an_address_has_no_caa_records(forecast: CaaForecast, resolver: FakeNameserver) -> None:
    by_http = issuer(str(resolver), challenge="http01")
    assert await forecast.objections(by_http, {"192.0.2.1": "http-01", "2001:db8::1": "http-01"}, {}) == {}
    assert resolver.asked == []


async def test_a_ca_that_does_not_say_its_name_costs_no_question(
    forecast: CaaForecast, resolver: FakeNameserver
) -> None:
    assert await forecast.objections(issuer(str(resolver), identities=()), {"www.example.test": "dns-01"}, {}) == {}
    assert resolver.asked == []


async def test_what_names_have_in_common_is_asked_once(forecast: CaaForecast, resolver: FakeNameserver) -> None:
    names = {f"n{number}.deep.example.test": "dns-01" for number in range(20)}
    assert len(await forecast.objections(issuer(str(resolver)), names, {})) == 20
    asked = [name for _, name, kind in resolver.asked if kind == "CAA"]
    assert sorted(asked) == sorted([*names, "deep.example.test", "example.test"])


async def test_resolvers_that_are_silent_or_broken_are_no_objection(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FORECAST_SECONDS", 0.3)
    silent = await start(lambda *_: None)
    forecast = CaaForecast(lambda servers: DnsView(resolvers=servers, timeout=60))
    began = time.monotonic()
    assert await forecast.objections(issuer(str(silent)), {"www.example.test": "dns-01"}, {}) == {}
    assert time.monotonic() - began < 30, "an issuance was held up"
    garbage = await start(lambda *_: b"garbage")
    forecast = CaaForecast(lambda servers: DnsView(resolvers=servers, timeout=0.2))
    assert await forecast.objections(issuer(str(garbage)), {"www.example.test": "dns-01"}, {}) == {}


async def test_a_directory_that_cannot_be_had_is_no_objection(forecast: CaaForecast) -> None:
    broken = issuer(identities=ConnectionFailed("Cannot connect", host="ca.example", request_sent=False))
    assert await forecast.objections(broken, {"www.example.test": "dns-01"}, {}) == {}


async def test_views_are_kept_within_bounds() -> None:
    made: list[tuple[str, ...]] = []

    class Quiet:
        async def find_caa(self, _: str) -> None:
            return None

    def view(servers: tuple[str, ...]) -> Any:
        made.append(servers)
        return Quiet()

    forecast = CaaForecast(view)
    for number in [*range(MAX_VIEWS + 10), MAX_VIEWS]:
        assert await forecast.objections(issuer(f"192.0.2.{number}"), {"www.example.test": "dns-01"}, {}) == {}
    assert len(made) == MAX_VIEWS + 10
    assert len(forecast._views) == MAX_VIEWS
