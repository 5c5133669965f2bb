"""A provider is opened by its name, from Python, and its connections are closed at the end of the block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.client import sync
from certwright.dns import InvalidCredential, TxtRecord
from certwright.dns.credential import Credential
from certwright.dns.providers import PROVIDERS, configure, find_name, open_provider
from certwright.dns.providers.cloudflare import CloudflareConfig
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from certwright.http import transport as transports
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.test_cloudflare import CloudflareDouble
from tests.fakes.acme import DIRECTORY_URL, FakeCa

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns import Provider
    from certwright.http.message import Response

RECORD = TxtRecord("_acme-challenge.www.example.test", "v" * 43)


class Opened:
    """A transport that leads to a double, and counts how often it was opened and closed."""

    made: list[Opened]
    double: CloudflareDouble

    def __init__(self, **options: Any) -> None:
        assert options == {"trust_env": True, "ca_bundle": None}
        self.closed = 0
        self.made.append(self)

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], **details: Any) -> Response:
        return await self.double.request(method, url, headers=headers, **details)

    async def aclose(self) -> None:
        self.closed += 1


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> type[Opened]:
    double = CloudflareDouble()
    double.add_zone("example.test")
    kind = type("OpenedHere", (Opened,), {"made": [], "double": double})
    monkeypatch.setattr(transports, "HttpxTransport", kind)
    return kind


@pytest.mark.parametrize("token", [SECRET, Credential(SECRET)])
async def test_three_lines_change_a_zone_over_one_transport_that_is_closed(
    opened: type[Opened], token: str | Credential
) -> None:
    async with open_provider("Cloudflare", api_token=token) as provider:
        assert opened.made == [], "nothing is opened before it is needed"
        await provider.present([RECORD])
        assert opened.double.values(RECORD.name) == [RECORD.value]
        await provider.clean_up([RECORD])
        assert [one.closed for one in opened.made] == [0]
    assert opened.double.values(RECORD.name) == []
    assert [one.closed for one in opened.made] == [1]


def test_programs_without_asyncio_open_it_at_their_client(opened: type[Opened]) -> None:
    with sync.connect(DIRECTORY_URL, transport=FakeCa()) as client:
        with client.open_provider("cloudflare", api_token=SECRET) as provider:
            client.run(_changed(provider))
            assert opened.double.values(RECORD.name) == [RECORD.value]
            assert [one.closed for one in opened.made] == [0]
        assert [one.closed for one in opened.made] == [1]


async def _changed(provider: Provider) -> None:
    await provider.present([RECORD])


async def test_it_is_closed_after_a_failure_as_well(opened: type[Opened]) -> None:
    opened.double.denied = True
    with pytest.raises(Exception, match="refused the request"):
        async with open_provider("cloudflare", api_token=SECRET) as provider:
            await provider.present([RECORD])
    assert [one.closed for one in opened.made] == [1]


async def test_a_configuration_and_a_transport_of_ones_own_stay_ones_own(opened: type[Opened]) -> None:
    mine = opened(trust_env=True, ca_bundle=None)
    async with open_provider(CloudflareConfig(api_token=Credential(SECRET)), transport=mine) as provider:
        await provider.present([RECORD])
    assert [one.closed for one in opened.made] == [0]


async def test_a_provider_that_speaks_no_https_opens_no_connection(opened: type[Opened]) -> None:
    async with open_provider("rfc2136", nameserver="ns1.example", tsig_key_name="k", tsig_secret="c2VjcmV0") as found:
        assert isinstance(found, Rfc2136Provider)
    assert opened.made == []


async def test_what_is_wrong_is_told_before_anything_is_sent_and_no_credential_is_shown(opened: type[Opened]) -> None:
    with pytest.raises(ValueError, match=f"no DNS provider 'nobody': it is one of {', '.join(PROVIDERS)}"):
        await open_provider("nobody").__aenter__()
    with pytest.raises(TypeError, match="api_tokn"):
        await open_provider("cloudflare", api_tokn=SECRET).__aenter__()
    with pytest.raises(InvalidCredential, match="API token in the argument api_token has a space") as caught:
        await open_provider("cloudflare", api_token=f"{SECRET} x").__aenter__()
    assert SECRET not in str(caught.value)
    assert opened.made == []


def test_a_name_is_found_as_an_issuer_and_as_people_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("certwright.dns.providers.PROVIDERS", {"cloud_dns": "X"})
    assert {find_name(text) for text in ("cloudDNS", "cloud_dns", "cloud-dns", "CLOUDDNS")} == {"cloud_dns"}
    assert find_name("clouds") is None


def test_ambient_credentials_are_for_providers_that_know_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import make_dataclass  # noqa: PLC0415 - for this one

    knows = make_dataclass("Knows", [("ambient", bool, False)], frozen=True)
    monkeypatch.setattr("certwright.dns.providers.config_type", lambda _: knows)
    found: list[Any] = [
        configure("any", {}),
        configure("any", {}, ambient=True),
        configure("any", {"ambient": False}, ambient=True),
    ]
    assert [one.ambient for one in found] == [False, True, False]
    monkeypatch.undo()
    assert isinstance(configure("cloudflare", {"api_token": Credential(SECRET)}, ambient=True), CloudflareConfig)
