from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from certwright.pki import CsrError, KeyAlgorithm, build_csr, generate_private_key

if TYPE_CHECKING:
    import ipaddress

KEY = generate_private_key()
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
NAME = st.lists(LABEL, min_size=2, max_size=5).map(".".join)


def names_of(der: bytes) -> tuple[list[str], list[str]]:
    csr = x509.load_der_x509_csr(der)
    assert csr.is_signature_valid
    san = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert san.critical is (not list(csr.subject))
    return san.value.get_values_for_type(x509.DNSName), [
        str(ip) for ip in san.value.get_values_for_type(x509.IPAddress)
    ]


@given(
    st.lists(NAME | NAME.map("*.{}".format), min_size=1, max_size=20, unique=True),
    st.lists(st.ip_addresses(), max_size=3, unique=True),
)
def test_every_name_is_in_the_request_in_the_order_given(
    dns_names: list[str], addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address]
) -> None:
    ip_addresses = [str(address) for address in addresses]
    assert names_of(build_csr(KEY, dns_names=dns_names, ip_addresses=ip_addresses)) == (
        dns_names,
        ip_addresses,
    )


@pytest.mark.parametrize(
    ("algorithm", "size", "digest"),
    [
        ("ECDSA", 256, "sha256"),
        ("ECDSA", 384, "sha384"),
        ("ECDSA", 521, "sha512"),
        ("RSA", 2048, "sha256"),
        ("Ed25519", None, None),
    ],
)
def test_each_kind_of_key_signs_with_the_digest_of_its_strength(
    algorithm: KeyAlgorithm, size: int | None, digest: str | None
) -> None:
    key = generate_private_key(algorithm, size)
    csr = x509.load_der_x509_csr(build_csr(key, dns_names=["a.example.test"]))

    assert csr.is_signature_valid
    assert csr.public_key() == key.public_key()
    assert (csr.signature_hash_algorithm.name if csr.signature_hash_algorithm else None) == digest


def test_the_subject_is_empty_without_a_common_name() -> None:
    assert not list(x509.load_der_x509_csr(build_csr(KEY, dns_names=["a.example.test"])).subject)


def test_a_common_name_that_is_one_of_the_names_is_the_subject() -> None:
    csr = x509.load_der_x509_csr(
        build_csr(KEY, dns_names=["a.example.test", "b.example.test"], common_name="B.example.test")
    )
    assert [(part.oid, part.value) for part in csr.subject] == [(NameOID.COMMON_NAME, "b.example.test")]


def test_duplicates_are_dropped_whatever_their_case_or_form() -> None:
    der = build_csr(KEY, dns_names=["A.example.test", "a.example.test"], ip_addresses=["::1", "0:0::1"])
    assert names_of(der) == (["a.example.test"], ["::1"])


@pytest.mark.parametrize(
    ("dns_names", "ip_addresses", "common_name", "message"),
    [
        ([], [], None, "at least one"),
        (["bücher.example"], [], None, "A-labels"),
        ([""], [], None, "empty"),
        (["a.test"], ["10.0.0"], None, "not an IP address"),
        (["a.test"], [], "b.test", "must be one of the names"),
        (["a" * 60 + ".example.test"], [], "a" * 60 + ".example.test", "64"),
    ],
)
def test_what_cannot_be_requested_is_refused_by_name(
    dns_names: list[str], ip_addresses: list[str], common_name: str | None, message: str
) -> None:
    with pytest.raises(CsrError, match=message):
        build_csr(KEY, dns_names=dns_names, ip_addresses=ip_addresses, common_name=common_name)
