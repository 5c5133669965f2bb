from __future__ import annotations

import json

import josepy
import pytest

from certwright.acme import AccountKey, ExternalAccountBinding, InvalidExternalAccountKey, MacAlgorithm, base64url

URL = "https://ca.test/new-account"
SECRET = bytes(range(200, 232))


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_josepy_verifies_the_binding(key: AccountKey, algorithm: MacAlgorithm) -> None:
    jws = ExternalAccountBinding("kid-1", SECRET, algorithm).bind(key, url=URL)
    assert json.loads(base64url.decode(jws["protected"])) == {"alg": algorithm, "kid": "kid-1", "url": URL}
    assert json.loads(base64url.decode(jws["payload"])) == dict(key.jwk)
    signed = f"{jws['protected']}.{jws['payload']}".encode()
    assert josepy.JWASignature.from_json(algorithm).verify(SECRET, signed, base64url.decode(jws["signature"]))


@pytest.mark.parametrize("suffix", ["", "=", "\n", "== "])
def test_the_key_is_taken_as_cas_show_it(suffix: str) -> None:
    assert ExternalAccountBinding.from_text("kid-1", base64url.encode(SECRET) + suffix).mac_key == SECRET


@pytest.mark.parametrize("text", ["", "not?base64!", "hunter2 hunter2", "abcde"])
def test_another_key_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(InvalidExternalAccountKey) as caught:
        ExternalAccountBinding.from_text("kid-1", text)
    assert not text or text not in str(caught.value)


def test_repr_hides_the_key() -> None:
    assert "mac_key" not in repr(ExternalAccountBinding("kid-1", SECRET))
