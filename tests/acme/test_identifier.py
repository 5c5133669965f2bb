from __future__ import annotations

import pytest

from certwright.acme import Identifier, InvalidIdentifier


def test_a_name_is_lower_case_without_the_final_dot() -> None:
    assert Identifier.dns("*.Example.COM.").to_json() == {"type": "dns", "value": "*.example.com"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("192.0.2.1", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1")],
)
def test_an_address_is_in_canonical_form(text: str, value: str) -> None:
    assert Identifier.ip(text) == Identifier("ip", value)


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="example"):
        Identifier.ip("example.com")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://example.com", "without scheme, port or path"),
        ("example.com:443", "without scheme, port or path"),
        ("-a.example.com", "no hyphen at the beginning or end"),
        ("a..example.com", "must be 1 to 63 letters"),
        (f"{'a' * 64}.example.com", "must be 1 to 63 letters"),
        ("a.*.example.com", "only the whole first label can be a wildcard"),
        ("example.123", "a top-level domain cannot be a number"),
    ],
)
def test_the_message_says_what_is_wrong_with_a_name(text: str, reason: str) -> None:
    with pytest.raises(InvalidIdentifier, match=reason):
        Identifier.parse(text)


def test_one_name_is_not_taken_for_several() -> None:
    with pytest.raises(TypeError, match=r"not the one name 'example\.com'"):
        Identifier.of("example.com")
    assert Identifier.of(["a.example", Identifier.dns("b.example"), "A.example"]) == (
        Identifier.dns("a.example"),
        Identifier.dns("b.example"),
    )
