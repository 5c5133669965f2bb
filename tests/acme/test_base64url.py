from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import base64url


@given(st.binary(max_size=200))
def test_what_was_encoded_decodes_to_itself(data: bytes) -> None:
    text = base64url.encode(data)
    assert "=" not in text
    assert base64url.decode(text) == data


@pytest.mark.parametrize("text", ["YQ==", "a b", "YQ\n", "a+b/", "é", "AAAAA"])
def test_anything_but_unpadded_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        base64url.decode(text)


def test_the_example_of_rfc_7515_appendix_c() -> None:
    assert base64url.encode(bytes([3, 236, 255, 224, 193])) == "A-z_4ME"
