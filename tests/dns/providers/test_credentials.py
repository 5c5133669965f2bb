"""Credentials that cannot be sent, at every provider that has any: refused before anything is, and never shown."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import pytest

from certwright.dns import InvalidCredential, InvalidTsigKey
from certwright.dns.credential import Credential, credential_name
from certwright.dns.provider import ProviderContext
from certwright.dns.providers import PROVIDERS, config_type, configure
from certwright.dns.surroundings import Surroundings
from tests.fuzz import providers

SOURCE: Final = "the entry token of Secret shop/dns"
OTHERS: Final[dict[str, dict[str, Any]]] = {
    "rfc2136": {"nameserver": "ns1.example", "tsig_key_name": "acme", "tsig_secret": Credential("c2VjcmV0", SOURCE)},
}
"""What has no API that is fuzzed."""
BASE64: Final = frozenset({("rfc2136", "tsig_secret")})
"""What is decoded and never sent: white space in it is none of the secret."""
WITHOUT: Final = frozenset({"plugin"})
"""A plugin gets its secrets as they are."""


def given(name: str) -> dict[str, Any]:
    settings = OTHERS.get(name) or providers.APIS[name].settings
    return {key: value() if callable(value) else value for key, value in settings.items()}


def secrets() -> list[tuple[str, str]]:
    """Every provider with each of its credentials that is given here."""
    return [
        (name, field.name)
        for name in PROVIDERS
        if name not in WITHOUT
        for field in dataclasses.fields(config_type(name))  # type: ignore[arg-type]  # the protocol demands a dataclass
        if credential_name(field.metadata) and isinstance(given(name).get(field.name), Credential)
    ]


def build(name: str, settings: dict[str, Any]) -> object:
    async def no_zone(_: str) -> Any:
        raise AssertionError

    def no_transport() -> Any:
        raise AssertionError

    context = ProviderContext(no_zone, no_transport, surroundings=Surroundings({}))
    return configure(name, settings).build(context)


def test_every_provider_is_here() -> None:
    assert {name for name, _ in secrets()} == {*PROVIDERS} - WITHOUT


@pytest.mark.parametrize(("name", "field"), secrets())
@pytest.mark.parametrize(
    "spoilt",
    ["{0}\n{0}", "{0}\r\nX-Evil: 1", "{0} {0}", "{0}é", "\ufeff{0}", "{0}\0", "", " \n", "{0}\u200b"],
    ids=["two lines", "a header field", "a space", "not ASCII", "a mark in front", "NUL", "nothing", "blank", "hidden"],
)
def test_a_credential_that_is_damaged_is_refused_with_its_source(name: str, field: str, spoilt: str) -> None:
    if (name, field) in BASE64 and spoilt in ("{0}\n{0}", "{0} {0}"):
        return
    settings = given(name)
    good = settings[field].value
    settings[field] = Credential(spoilt.format(good) if "{" not in good else spoilt.replace("{0}", "no"), SOURCE)
    with pytest.raises((InvalidCredential, InvalidTsigKey)) as caught:
        build(name, settings)
    said = str(caught.value)
    assert SOURCE in said or isinstance(caught.value, InvalidTsigKey)
    assert "Evil" not in said
    assert good not in said


@pytest.mark.parametrize(("name", "field"), secrets())
@pytest.mark.parametrize("around", ["{0}\n", "  {0}\r\n", "\t{0}"])
def test_white_space_around_a_credential_does_no_harm(name: str, field: str, around: str) -> None:
    settings = given(name)
    settings[field] = Credential(around.replace("{0}", settings[field].value), SOURCE)
    build(name, settings)
