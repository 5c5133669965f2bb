from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from certwright.certificates.secret.facts import SecretFacts
from certwright.pki import CsrError, generate_private_key, private_key_to_pem
from certwright.pki.self_signed import LASTS, self_signed

if TYPE_CHECKING:
    from certwright.resources.private_key import KeyAlgorithm

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize("algorithm", ["ECDSA", "RSA", "Ed25519"])
def test_it_is_for_all_names_and_signed_by_its_own_key(algorithm: KeyAlgorithm) -> None:
    key = generate_private_key(algorithm)
    pem = self_signed(key, dns_names=["a.test", "*.a.test"], ip_addresses=["192.0.2.1"], now=NOW)
    found = x509.load_pem_x509_certificate(pem)
    found.verify_directly_issued_by(found)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test", "*.a.test"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]
    assert found.not_valid_before_utc < NOW < found.not_valid_after_utc <= NOW + LASTS
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_without_names_there_is_none() -> None:
    with pytest.raises(CsrError):
        self_signed(generate_private_key(), dns_names=[], now=NOW)


def test_a_secret_with_one_is_never_taken_for_issued_or_adopted() -> None:
    key = generate_private_key()
    pem = self_signed(key, dns_names=["a.test"], now=NOW)
    data = {"tls.crt": base64.b64encode(pem).decode(), "tls.key": base64.b64encode(private_key_to_pem(key)).decode()}
    facts = SecretFacts.of({"metadata": {"namespace": "shop", "name": "a"}, "type": "kubernetes.io/tls", "data": data})
    assert (facts.placeholder, facts.is_adopted, facts.is_ours) == ("is self-signed", False, False)
