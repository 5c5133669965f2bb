from __future__ import annotations

import base64
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from certwright.pki import CertificateFacts, ChainError, generate_private_key, parse_chain

if TYPE_CHECKING:
    from datetime import datetime

    from tests.fakes.pki import Ca

KEY = generate_private_key()


def test_the_names_are_sorted_lower_case_and_unique(root: Ca) -> None:
    facts = CertificateFacts.of(root.issue(KEY, ["b.test", "A.test", "*.a.test", "a.test"], ["::1", "10.0.0.1"]))

    assert facts.dns_names == ("*.a.test", "a.test", "b.test")
    assert facts.ip_addresses == ("10.0.0.1", "::1")
    assert facts.issuer_name == "CN=Root"


def test_a_certificate_without_names_has_none(root: Ca) -> None:
    facts = CertificateFacts.of(root.issue(KEY, []))
    assert (facts.dns_names, facts.ip_addresses) == ((), ())


def test_an_issuer_that_cannot_be_read_is_an_error_of_ours(root: Ca) -> None:
    leaf = parse_chain(root.spoilt(root.issue(KEY), "issuer")).leaf
    with pytest.raises(ChainError, match="certificate's issuer name cannot be read"):
        CertificateFacts.of(leaf)


def test_the_life_is_in_utc(root: Ca, now: datetime) -> None:
    facts = CertificateFacts.of(root.issue(KEY, not_before=now, not_after=now.replace(year=2027)))
    assert (facts.not_before, facts.not_after) == (now, now.replace(year=2027))
    assert facts.not_before.tzinfo is not None


@pytest.mark.parametrize(("number", "text"), [(1, "01"), (0xABC, "0abc"), (0x8F00, "8f00"), (2**158, "40" + "00" * 19)])
def test_the_serial_number_is_hexadecimal_in_whole_octets(root: Ca, number: int, text: str) -> None:
    assert CertificateFacts.of(root.issue(KEY, serial=number)).serial == text


def test_serial_number_and_fingerprint_are_what_openssl_prints(root: Ca) -> None:
    leaf = root.issue(KEY)
    printed = subprocess.run(
        ["openssl", "x509", "-noout", "-serial", "-fingerprint", "-sha256"],  # noqa: S607 - any openssl will do
        input=leaf.public_bytes(serialization.Encoding.PEM), capture_output=True, check=True,
    ).stdout.decode().lower().replace(":", "").split()  # fmt: skip
    facts = CertificateFacts.of(leaf)

    assert printed[0] == f"serial={facts.serial}"
    assert printed[-1] == f"fingerprint={facts.fingerprint_sha256}"


def test_a_name_of_a_kind_that_the_library_does_not_know_is_an_error_of_ours(root: Ca) -> None:
    der = root.issue(KEY, ["a.example.test"]).public_bytes(serialization.Encoding.DER)
    text = b"\x82\x0ea.example.test"
    assert text in der
    x400 = base64.encodebytes(der.replace(text, b"\xa3" + text[1:]))
    leaf = parse_chain(b"-----BEGIN CERTIFICATE-----\n" + x400 + b"-----END CERTIFICATE-----\n").leaf
    with pytest.raises(ChainError, match="the certificate's extensions cannot be read"):
        CertificateFacts.of(leaf)
