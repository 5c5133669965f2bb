from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import CertificateChainPem, Headers, MalformedResponse, Response
from certwright.acme.certificate import MAX_CERTIFICATES

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nAAEC\n-----END PRIVATE KEY-----\n"
URL = "https://ca.test/cert/1"


def sent(body: str | bytes, media_type: str = "application/pem-certificate-chain") -> Response:
    content = body.encode() if isinstance(body, str) else body
    return Response(200, Headers({"Content-Type": media_type}), content, URL)


@pytest.mark.parametrize(
    "body",
    [
        CERTIFICATE * 2,
        f"\n{CERTIFICATE}\n\n{CERTIFICATE}",
        (CERTIFICATE * 2).replace("\n", "\r\n"),
        (CERTIFICATE * 2).rstrip(),
        CERTIFICATE.rstrip() + CERTIFICATE,
        f"subject=/CN=a\nissuer=/CN=b\n{CERTIFICATE}\nsubject=/CN=b -- the issuer\n{CERTIFICATE}",
        f"\ufeff{CERTIFICATE}{CERTIFICATE}\0\0",
        f"{CERTIFICATE}{CERTIFICATE}<!-- end -->\n---------\n",
        CERTIFICATE.replace("CERTIFICATE", "X509 CERTIFICATE") + CERTIFICATE,
        CERTIFICATE.replace("\nAAEC", "AA\r\n EC ") + CERTIFICATE,
    ],
)
def test_a_chain_is_read_and_written_anew_in_one_form(body: str) -> None:
    chain = CertificateChainPem.parse(sent(body), alternate_urls=("https://ca.test/cert/1/1",))
    assert chain.pem == (CERTIFICATE * 2).encode()
    assert chain.certificates == (b"\x00\x01\x02",) * 2
    assert chain.alternate_urls == ("https://ca.test/cert/1/1",)
    assert chain.url == URL


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (CERTIFICATE + KEY, "block of type PRIVATE KEY"),
        (KEY + CERTIFICATE, "block of type PRIVATE KEY"),
        (CERTIFICATE + KEY.replace("PRIVATE", "ENCRYPTED PRIVATE"), "block of type ENCRYPTED PRIVATE KEY"),
        (CERTIFICATE.replace("CERTIFICATE", "X509 CRL"), "block of type X509 CRL"),
        (CERTIFICATE.replace("CERTIFICATE", "TRUSTED CERTIFICATE"), "block of type TRUSTED CERTIFICATE"),
        (CERTIFICATE + KEY.replace("PRIVATE KEY", "OpenSSH PRIVATE key"), "block of type OpenSSH PRIVATE key"),
        (CERTIFICATE + KEY[:20], "damaged"),
        (CERTIFICATE[:40], "damaged"),
        (CERTIFICATE + CERTIFICATE[:-40], "damaged"),
        (CERTIFICATE[30:] + CERTIFICATE, "damaged"),
        (CERTIFICATE.replace("AAEC", ""), "not base64"),
        (CERTIFICATE.replace("AAEC", "AAE"), "not base64"),
        (CERTIFICATE.replace("AAEC", "AA=C"), "not base64"),
        (CERTIFICATE.replace("AAEC", "AA!C"), "damaged"),
        ("", "empty"),
        ("\n \n", "empty"),
        (CERTIFICATE * (MAX_CERTIFICATES + 1), "more than"),
        (b"\x30\x82\x00\x01\xff", "empty"),
    ],
)
def test_anything_but_certificates_is_refused_and_not_quoted(body: str | bytes, reason: str) -> None:
    with pytest.raises(MalformedResponse, match=reason) as caught:
        CertificateChainPem.parse(sent(body))
    assert "AAEC" not in str(caught.value)
    assert "somebody" not in str(caught.value)


@pytest.mark.parametrize(
    "media_type", ["application/pkix-cert", "application/x-pem-file", "text/html", "application/json", ""]
)
def test_the_content_type_has_to_be_that_of_a_chain(media_type: str) -> None:
    with pytest.raises(MalformedResponse, match="application/pem-certificate-chain"):
        CertificateChainPem.parse(sent(CERTIFICATE, media_type))


def test_parameters_of_the_content_type_do_not_matter() -> None:
    assert CertificateChainPem.parse(sent(CERTIFICATE, "Application/PEM-certificate-chain; charset=utf-8")).certificates


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5))
def test_what_it_writes_it_reads_again(certificates: list[bytes]) -> None:
    body = "".join(
        f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(der).decode()}\n-----END CERTIFICATE-----\n"
        for der in certificates
    )
    chain = CertificateChainPem.parse(sent(body))
    assert chain.certificates == tuple(certificates)
    assert CertificateChainPem.parse(sent(chain.pem)) == chain


@given(st.binary(max_size=300))
def test_no_body_breaks_it(body: bytes) -> None:
    with pytest.raises(MalformedResponse):
        CertificateChainPem.parse(sent(body))
