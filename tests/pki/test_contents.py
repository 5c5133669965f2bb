from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certwright.pki import CertificateContents, CsrError, Subject, build_csr, generate_private_key, read_csr

KEY = generate_private_key()
SUBJECT = Subject(
    organizations=["Example, Inc."],
    countries=["DE"],
    organizational_units=["Web", "Mail"],
    localities=["Berlin"],
    provinces=["Berlin"],
    street_addresses=["Street 1"],
    postal_codes=["10115"],
    serial_number="HRB 1",
)


def requested(contents: CertificateContents, common_name: str | None = None) -> x509.CertificateSigningRequest:
    der = build_csr(KEY, dns_names=["a.example"], common_name=common_name, contents=contents)
    csr = x509.load_der_x509_csr(der)
    assert csr.is_signature_valid
    return csr


def issued(contents: CertificateContents) -> x509.Certificate:
    """What a CA issues that grants everything."""
    csr = requested(contents)
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(csr.subject)
        .public_key(csr.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
    )
    for extension in csr.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(KEY, hashes.SHA256())


def test_a_request_has_the_fields_of_the_subject_and_the_common_name_last() -> None:
    assert requested(CertificateContents(subject=SUBJECT), "a.example").subject.rfc4514_string() == (
        "CN=a.example,2.5.4.5=HRB 1,2.5.4.17=10115,STREET=Street 1,ST=Berlin,L=Berlin,OU=Mail,OU=Web,"
        "O=Example\\, Inc.,C=DE"
    )


def test_a_literal_subject_is_in_the_order_of_rfc_4514_with_the_name_in_its_normal_form() -> None:
    contents = CertificateContents(literal_subject="CN=A.example,OU=x+O=Example\\, Inc.,C=DE")
    subject = requested(contents, "a.example").subject
    assert next(one.value for one in subject) == "DE"
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "a.example"
    assert len(subject.rdns) == 3, "attributes that stand together stay together"


def test_a_request_has_usages_uris_and_mailboxes() -> None:
    contents = CertificateContents(
        usages=["signing", "digital signature", "key encipherment", "client auth", "s/mime"],
        uris=["spiffe://example/a", "spiffe://example/a"],
        email_addresses=["a@b.example"],
    )
    csr = requested(contents)
    usage = csr.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.key_encipherment, usage.value.key_cert_sign) == (
        True,
        True,
        False,
    )
    extended = csr.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION]
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://example/a"]
    assert names.get_values_for_type(x509.RFC822Name) == ["a@b.example"]


def test_nothing_is_requested_by_default() -> None:
    assert CertificateContents().is_empty
    assert [extension.oid.dotted_string for extension in requested(CertificateContents()).extensions] == ["2.5.29.17"]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"usages": ["tls"]}, "there is no usage 'tls'"),
        ({"usages": ["encipher only"]}, "need key agreement"),
        ({"literal_subject": "nonsense"}, "not a distinguished name"),
        ({"literal_subject": "O=x", "subject": SUBJECT}, "whole subject"),
        ({"subject": Subject(countries=["Germany"])}, "cannot have 'Germany'"),
        ({"uris": ["http://b\u00fccher.example"]}, "cannot be in a certificate"),
        ({"email_addresses": ["\u00fc@example.com"]}, "cannot be in a certificate"),
    ],
)
def test_what_no_certificate_can_have_is_refused(contents: dict[str, Any], message: str) -> None:
    with pytest.raises(CsrError, match=message):
        requested(CertificateContents(**contents))


EVERYTHING = CertificateContents(
    subject=SUBJECT,
    usages=["digital signature", "client auth"],
    uris=["spiffe://example/a"],
    email_addresses=["a@b.example"],
)


def test_what_a_ca_left_out_is_named() -> None:
    assert EVERYTHING.missing_in(issued(EVERYTHING)) == ()
    other = CertificateContents(
        subject=Subject(countries=["DE"]), usages=["digital signature", "server auth"], uris=["spiffe://example/b"]
    )
    missing = EVERYTHING.missing_in(issued(other))
    assert missing[0] == "usages client auth"
    assert missing[1].startswith("subject O=Example\\, Inc., OU=Web")
    assert missing[2] == "names spiffe://example/a, a@b.example"


def test_a_certificate_without_usages_is_for_every_use() -> None:
    plain = issued(CertificateContents())
    assert CertificateContents(usages=["client auth", "key encipherment"]).missing_in(plain) == ()


def test_the_order_names_of_a_request_with_contents_are_read_back() -> None:
    der = build_csr(KEY, dns_names=["a.example"], ip_addresses=["192.0.2.1"], contents=EVERYTHING)
    found = read_csr(der)
    assert (found.dns_names, found.ip_addresses) == (("a.example",), ("192.0.2.1",))
