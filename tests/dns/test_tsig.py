from __future__ import annotations

import base64

import pytest

from certwright.dns import TSIG_ALGORITHMS, InvalidTsigKey, TsigKey

SECRET = base64.b64encode(b"a secret of some length").decode()


@pytest.mark.parametrize("algorithm", TSIG_ALGORITHMS)
def test_every_algorithm_makes_a_key(algorithm: str) -> None:
    key = TsigKey("acme-key", SECRET, algorithm)
    assert key.algorithm == algorithm
    assert key.to_dnspython().secret == b"a secret of some length"


@pytest.mark.parametrize(
    ("written", "known"),
    [("hmac-sha256", "HMACSHA256"), ("HMAC_SHA512", "HMACSHA512"), ("hmac-sha256-128", "HMACSHA256-128")],
)
def test_the_spellings_of_servers_are_understood(written: str, known: str) -> None:
    assert TsigKey("acme-key", SECRET, written).algorithm == known


def test_white_space_in_the_secret_is_ignored() -> None:
    assert TsigKey("k", f" {SECRET[:4]}\n{SECRET[4:]}\n").to_dnspython().secret == b"a secret of some length"


@pytest.mark.parametrize(
    ("name", "secret", "algorithm", "message"),
    [
        ("acme-key", "not base64!", "HMACSHA256", "the secret of the TSIG key acme-key is not base64"),
        ("acme-key", "QUJ", "HMACSHA256", "the secret of the TSIG key acme-key is not base64"),
        ("acme-key", "geheim-ü", "HMACSHA256", "the secret of the TSIG key acme-key is not base64"),
        ("acme-key", " \n", "HMACSHA256", "the secret of the TSIG key acme-key is empty"),
        ("acme-key", SECRET, "HMACSHA3", "acme-key has the unknown algorithm 'HMACSHA3'.*HMACSHA256"),
        ("a..b", SECRET, "HMACSHA256", "'a..b' is not a domain name"),
        ("schlüssel", SECRET, "HMACSHA256", "not a domain name"),
        (".", SECRET, "HMACSHA256", "no name"),
    ],
)
def test_an_unusable_key_is_refused_by_name_and_without_its_secret(
    name: str, secret: str, algorithm: str, message: str
) -> None:
    with pytest.raises(InvalidTsigKey, match=message) as caught:
        TsigKey(name, secret, algorithm)
    if secret.strip():
        assert secret not in str(caught.value)


def test_a_key_does_not_show_its_secret() -> None:
    assert SECRET not in repr(TsigKey("acme-key", SECRET))
    assert "acme-key" in repr(TsigKey("acme-key", SECRET))
