from __future__ import annotations

import pytest

from certwright.acme import Identifier


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
