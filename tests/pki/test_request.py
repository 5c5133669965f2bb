from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certwright.pki import CsrError, build_csr, public_key_matches, read_csr

KEY = ec.generate_private_key(ec.SECP256R1())


def test_a_request_is_read_in_either_form() -> None:
    der = build_csr(KEY, dns_names=["b.example.test", "*.a.example.test"], ip_addresses=["192.0.2.1", "2001:db8::1"])
    request = read_csr(der)
    assert request.dns_names == ("b.example.test", "*.a.example.test")
    assert request.ip_addresses == ("192.0.2.1", "2001:db8::1")
    assert request.public_key() == KEY.public_key()
    assert read_csr(request.to_pem()) == request
    assert read_csr(b"\n" + request.to_pem()).der == der


def test_a_request_of_a_version_that_there_is_not_is_refused() -> None:
    der = build_csr(KEY, dns_names=["a.example.test"])
    with pytest.raises(CsrError, match="not a PEM or DER certificate signing request"):
        read_csr(der.replace(b"\x02\x01\x00", b"\x02\x01\x07", 1))


@pytest.mark.parametrize(
    ("common_name", "sans", "names", "addresses"),
    [
        ("Old.example.test", [], ("old.example.test",), ()),
        ("a.example.test", ["a.example.test", "b.example.test"], ("a.example.test", "b.example.test"), ()),
        ("c.example.test", ["b.example.test"], ("b.example.test", "c.example.test"), ()),
        ("192.0.2.1", ["192.0.2.1"], (), ("192.0.2.1",)),
    ],
)
def test_the_common_name_is_one_of_the_names(
    common_name: str, sans: list[str], names: tuple[str, ...], addresses: tuple[str, ...]
) -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    )
    if sans:
        general = [x509.IPAddress(ipaddress.ip_address(san)) if san[0].isdigit() else x509.DNSName(san) for san in sans]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    request = read_csr(builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    assert (request.dns_names, request.ip_addresses) == (names, addresses)


def test_what_is_no_request_is_refused() -> None:
    der = build_csr(KEY, dns_names=["a.example.test"])
    # The last bits are the signature.
    forged = der[:-1] + bytes([der[-1] ^ 1])
    nameless = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(KEY, hashes.SHA256())
    for content, words in (
        (b"", "not a PEM or DER certificate signing request"),
        (b"-----BEGIN NONSENSE-----", "not a PEM or DER certificate signing request"),
        (der[:50], "not a PEM or DER certificate signing request"),
        (b"x" * 70_000, "70000 bytes long"),
        (forged, "signature of the CSR is invalid"),
        (nameless.public_bytes(serialization.Encoding.DER), "has no domain"),
    ):
        with pytest.raises(CsrError, match=words):
            read_csr(content)


def test_a_request_stands_for_its_key_where_a_certificate_is_compared() -> None:
    request = read_csr(build_csr(KEY, dns_names=["a.example.test"]))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
        return builder.sign(key, hashes.SHA256())

    assert public_key_matches(certificate(KEY), request)
    assert not public_key_matches(certificate(ec.generate_private_key(ec.SECP256R1())), request)


def test_more_names_than_anybody_needs_are_not_read() -> None:
    names = [f"n{number}.example.test" for number in range(1001)]
    assert len(read_csr(build_csr(KEY, dns_names=names[:1000])).dns_names) == 1000
    with pytest.raises(CsrError, match="1001 names; the limit is 1000"):
        read_csr(build_csr(KEY, dns_names=names))
