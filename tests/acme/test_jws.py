from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import josepy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import AccountKey, base64url
from certwright.acme.key import flattened, sign_request

if TYPE_CHECKING:
    from certwright.acme import AccountKeyAlgorithm

KEYS = {algorithm: AccountKey.generate(algorithm) for algorithm in ("ES256", "ES384", "ES512")}
URL = "https://ca.test/acme/new-order?x=%7E|"


def _protected(body: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64url.decode(json.loads(body)["protected"]))
    return found


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "RS256"])
def test_josepy_verifies_the_whole_jws(algorithm: str) -> None:
    key = AccountKey.generate(algorithm)  # type: ignore[arg-type]  # one of the four
    body = sign_request(key, url=URL, nonce="n0", payload={"a": [1]}, kid=None)
    jws = josepy.JWS.from_json(json.loads(body))
    assert jws.verify(josepy.JWK.from_json(dict(key.jwk)))
    assert json.loads(jws.payload) == {"a": [1]}


@given(
    payload=st.none() | st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.booleans())),
    url=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    kid=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    algorithm=st.sampled_from(["ES256", "ES384", "ES512"]),
)
def test_josepy_verifies_any_request(payload: Any, url: str, kid: str | None, algorithm: AccountKeyAlgorithm) -> None:
    key = KEYS[algorithm]
    body = json.loads(sign_request(key, url=url, nonce="n0", payload=payload, kid=kid))
    jws = josepy.JWS.from_json(body)
    public = josepy.JWK.from_json(dict(key.jwk))
    signed = f"{body['protected']}.{body['payload']}".encode()
    assert josepy.JWASignature.from_json(algorithm).verify(public.key, signed, base64url.decode(body["signature"]))
    assert jws.payload == (b"" if payload is None else json.dumps(payload, separators=(",", ":")).encode())
    assert json.loads(base64url.decode(body["protected"]))["url"] == url


def test_the_first_request_carries_the_key(key: AccountKey) -> None:
    body = sign_request(key, url=URL, nonce="n0", payload={}, kid=None)
    assert _protected(body) == {"alg": "ES256", "jwk": dict(key.jwk), "nonce": "n0", "url": URL}


def test_all_others_carry_the_account(key: AccountKey) -> None:
    body = sign_request(key, url=URL, nonce="n0", payload={}, kid="https://ca.test/acct/1")
    assert _protected(body) == {"alg": "ES256", "kid": "https://ca.test/acct/1", "nonce": "n0", "url": URL}


def test_post_as_get_has_an_empty_payload_and_an_empty_object_is_not_that(key: AccountKey) -> None:
    assert json.loads(sign_request(key, url=URL, nonce="n", payload=None, kid="k"))["payload"] == ""
    assert json.loads(sign_request(key, url=URL, nonce="n", payload={}, kid="k"))["payload"] == "e30"


def test_the_signature_of_rfc_7515_appendix_a_1() -> None:
    secret = base64url.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
    # The RFC's text has line breaks in its JSON, so the parts are given encoded.
    head = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
    body = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    signed: list[bytes] = []

    def sign(data: bytes) -> bytes:
        signed.append(data)
        return hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()

    jws = flattened({"alg": "HS256"}, base64url.decode(body), sign)
    assert jws["payload"] == body
    assert jws["signature"] == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert signed == [f"{jws['protected']}.{body}".encode()]
