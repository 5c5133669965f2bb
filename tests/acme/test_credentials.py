from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import (
    KNOWN_AUTHORITIES,
    AccountCredentials,
    AccountKey,
    Client,
    Identifier,
    InvalidCredentials,
    InvalidIdentifier,
    UnsafeUrl,
    directory_url,
)
from tests.fakes.published_keys import EC_OF_RFC_7515_A_3

DIRECTORY = "https://ca.test/dir"


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "RS256", "EdDSA"])
@pytest.mark.parametrize("account", [None, "https://ca.test/account/1"])
def test_what_is_written_is_read(algorithm: str, account: str | None) -> None:
    saved = AccountCredentials(DIRECTORY, account, AccountKey.generate(algorithm))  # type: ignore[arg-type]  # one of them
    assert AccountCredentials.from_json(saved.to_json()) == saved
    assert AccountCredentials.from_json(saved.to_json().encode()) == saved


def test_they_are_taken_from_a_client(client: Client) -> None:
    saved = AccountCredentials.of(client)
    assert (saved.directory_url, saved.account_url, saved.key) == (
        client.server.directory_url,
        client.account_url,
        client.key,
    )


def test_a_json_web_key_is_read_too() -> None:
    text = json.dumps({"directory": DIRECTORY, "privateKey": EC_OF_RFC_7515_A_3})
    assert AccountCredentials.from_json(text).key == AccountKey.from_jwk(EC_OF_RFC_7515_A_3)


def test_repr_shows_no_key() -> None:
    saved = AccountCredentials(DIRECTORY, None, AccountKey.generate())
    assert "key" not in repr(saved).lower()


GOOD = {"directory": DIRECTORY, "privateKey": EC_OF_RFC_7515_A_3}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("hunter2", "not JSON"),
        ("[" * 100_000, "longer"),
        ("[" * 20_000, "not JSON"),
        ('{"directory": "https://a.test/", "directory": "https://b.test/"}', "duplicate"),
        (json.dumps({**GOOD, "password": "hunter2"}), "1 members that are not known"),
        (json.dumps({"privateKey": EC_OF_RFC_7515_A_3}), "'directory' .* missing"),
        (json.dumps({**GOOD, "directory": 7}), "'directory' .* no text"),
        (json.dumps({**GOOD, "directory": "http://ca.test/hunter2"}), "'directory' .* not an https URL"),
        (json.dumps({**GOOD, "account": "hunter2"}), "'account' .* not an https URL"),
        (json.dumps({**GOOD, "privateKey": "hunter2"}), "'privateKey' .* not an account key"),
        (json.dumps({**GOOD, "privateKey": {"kty": "oct", "k": "hunter2"}}), "'privateKey' .* not an account key"),
        (json.dumps({**GOOD, "privateKey": ["hunter2"]}), "'privateKey' .* neither"),
        (json.dumps({"directory": DIRECTORY}), "'privateKey' .* missing"),
    ],
)
def test_anything_else_is_refused_without_being_quoted(document: str, reason: str) -> None:
    with pytest.raises(InvalidCredentials, match=reason) as caught:
        AccountCredentials.from_json(document)
    assert "hunter2" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_json_is_read_or_refused(document: object) -> None:
    with pytest.raises(InvalidCredentials):
        AccountCredentials.from_json(json.dumps(document))


def test_known_authorities_are_found_by_name_and_others_by_url() -> None:
    assert directory_url("LetsEncrypt-staging") == "https://acme-staging-v02.api.letsencrypt.org/directory"
    assert directory_url("https://ca.example/acme") == "https://ca.example/acme"
    with pytest.raises(UnsafeUrl, match="letsencrypt, letsencrypt-staging, zerossl"):
        directory_url("let's encrypt")
    for name, authority in KNOWN_AUTHORITIES.items():
        assert authority.name == name
        assert authority.directory_url.startswith("https://")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("Example.COM.", "dns", "example.com"),
        ("*.Example.com", "dns", "*.example.com"),
        ("_x.example.com", "dns", "_x.example.com"),
        ("bücher.example", "dns", "xn--bcher-kva.example"),
        ("*.Bücher.example", "dns", "*.xn--bcher-kva.example"),
        (" 192.0.2.1 ", "ip", "192.0.2.1"),
        ("2001:DB8:0::1", "ip", "2001:db8::1"),
        ("[::1]", "ip", "::1"),
    ],
)
def test_identifiers_are_read_as_people_write_them(text: str, kind: str, value: str) -> None:
    assert Identifier.parse(text) == Identifier(kind, value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "*",
        "*.",
        "a..b",
        "a b",
        "https://a.example",
        "a.example:443",
        "a.*.example",
        "**.a.example",
        "a/b",
        "x" * 64,
        ".".join(["abc"] * 70),
        "-a.example",
        "\u202ea.example",
        "a.example/24",
        "192.0.2.999",
        "192.0.2",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdentifier):
        Identifier.parse(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = Identifier.parse(text)
    except InvalidIdentifier:
        return
    assert parsed.value.isascii()
    assert Identifier.parse(parsed.value) == parsed
