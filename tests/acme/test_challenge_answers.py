"""What answers each kind of challenge, by the vectors of their documents."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import (
    DirectoryMeta,
    Identifier,
    account_label,
    account_uri,
    dns_account01_name,
    dns_persist01_name,
    dns_persist01_value,
    hashed_account_uri,
    http01_path,
    http01_url,
    persistent_record_allows,
    tls_alpn01_server_name,
    validation_certificate,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ACCOUNT = "https://ca.example/acct/123"
THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
PREFIX = "https://ca.example/account-hash/"


class TestHttp01:
    """RFC 8555 section 8.3, RFC 8738 section 5."""

    def test_the_path_and_url(self) -> None:
        assert http01_path("a-_Z9") == "/.well-known/acme-challenge/a-_Z9"
        assert http01_url(Identifier.dns("a.example"), "t") == "http://a.example/.well-known/acme-challenge/t"
        assert http01_url(Identifier.ip("2001:DB8::1"), "t") == "http://[2001:db8::1]/.well-known/acme-challenge/t"
        assert http01_url(Identifier.ip("192.0.2.1"), "t") == "http://192.0.2.1/.well-known/acme-challenge/t"

    @pytest.mark.parametrize("token", ["", "../x", "a/b", "a b", "é"])
    def test_a_token_that_is_none_becomes_no_path(self, token: str) -> None:
        with pytest.raises(ValueError, match="base64url"):
            http01_path(token)

    def test_no_wildcards(self) -> None:
        with pytest.raises(ValueError, match="wildcard"):
            http01_url(Identifier.dns("*.a.example"), "t")


class TestDnsAccount01:
    def test_the_vector_of_the_draft(self) -> None:
        """draft-ietf-acme-dns-account-label section 3.1."""
        url = "https://example.com/acme/acct/ExampleAccount"
        assert account_label(url) == "_ujmmovf2vn55tgye"
        assert dns_account01_name("*.example.org", url) == "_ujmmovf2vn55tgye._acme-challenge.example.org"


class TestDnsPersist01:
    def test_the_vector_of_draft_02_section_10_2(self) -> None:
        uri = hashed_account_uri(PREFIX, domain="example.com", thumbprint=THUMBPRINT, account_url=ACCOUNT)
        assert uri == f"{PREFIX}sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw"
        assert dns_persist01_value("authority.example", uri) == f"authority.example; accounturi={uri}"

    def test_the_vector_for_all_domains(self) -> None:
        uri = hashed_account_uri(PREFIX, domain="*", thumbprint=THUMBPRINT, account_url=ACCOUNT)
        assert uri == f"{PREFIX}sha-256/NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug"

    def test_the_server_chooses_the_draft(self) -> None:
        arguments = {"domain": "example.com", "thumbprint": THUMBPRINT, "account_url": ACCOUNT}
        assert account_uri(DirectoryMeta(), **arguments) == ACCOUNT
        hashed = account_uri(DirectoryMeta(account_hash_prefix=PREFIX), **arguments)
        assert hashed == hashed_account_uri(PREFIX, **arguments)

    def test_a_wildcard_stands_at_its_parent(self) -> None:
        assert dns_persist01_name("*.example.com") == dns_persist01_name("example.com")
        assert dns_persist01_name("example.com") == "_validation-persist.example.com"
        wildcard, plain = (
            hashed_account_uri(PREFIX, domain=name, thumbprint=THUMBPRINT, account_url=ACCOUNT)
            for name in ("*.Example.com.", "example.com")
        )
        assert wildcard == plain

    def test_the_value_as_pebble_has_it(self) -> None:
        value = dns_persist01_value(
            "pebble.letsencrypt.org",
            "https://host/my-account/ID",
            wildcard=True,
            persist_until=datetime(2026, 1, 1, tzinfo=UTC),
        )
        assert value == (
            "pebble.letsencrypt.org; accounturi=https://host/my-account/ID; policy=wildcard; persistUntil=1767225600"
        )

    @pytest.mark.parametrize("part", ["", "a b", "a;b", "ä", "a\n"])
    def test_no_malformed_record_is_made(self, part: str) -> None:
        with pytest.raises(ValueError, match="visible ASCII"):
            dns_persist01_value("ca.example", part)
        with pytest.raises(ValueError, match="visible ASCII"):
            dns_persist01_value(part, ACCOUNT)

    @pytest.mark.parametrize(("domain", "length"), [("", 0), ("a" * 256, 256)])
    def test_no_domain_beyond_one_octet_of_length(self, domain: str, length: int) -> None:
        assert len(domain) == length
        with pytest.raises(ValueError, match="255"):
            hashed_account_uri(PREFIX, domain=domain, thumbprint=THUMBPRINT, account_url=ACCOUNT)

    @pytest.mark.parametrize(
        ("text", "allows"),
        [
            (f"ca.example; accounturi={ACCOUNT}", True),
            (f"CA.example;accounturi = {ACCOUNT} ; unknown=x", True),
            (f"other.example; accounturi={ACCOUNT}", True),
            (f"third.example; accounturi={ACCOUNT}", False),
            (f"ca.example; accounturi={ACCOUNT}4", False),
            (f"ca.example; accounturi={ACCOUNT.upper()}", False),
            (f"ca.example; accounturi={ACCOUNT};", False),
            (f"ca.example; accounturi={ACCOUNT}; accounturi={ACCOUNT}", False),
            (f"ca.example; accounturi={ACCOUNT}; AccountURI={ACCOUNT}", False),
            (f"ca.example; accounturi={ACCOUNT} x", False),
            (f"ca.example; accounturi={ACCOUNT}; persistUntil=1772366399", False),
            (f"ca.example; accounturi={ACCOUNT}; persistUntil=1772366400", True),
            (f"ca.example; accounturi={ACCOUNT}; persistUntil=soon", False),
            ("ca.example", False),
            ("", False),
        ],
    )
    def test_records_are_read_as_strictly_as_the_ca_reads_them(self, text: str, *, allows: bool) -> None:
        issuers = ["ca.example", "other.example"]
        assert persistent_record_allows(text, issuers=issuers, account_uri=ACCOUNT, wildcard=False, now=NOW) is allows

    def test_a_wildcard_needs_its_policy(self) -> None:
        plain = f"ca.example; accounturi={ACCOUNT}"
        for text, allows in ((plain, False), (f"{plain}; policy=WildCard", True), (f"{plain}; policy=x", False)):
            assert persistent_record_allows(text, issuers=["ca.example"], account_uri=ACCOUNT, wildcard=True) is allows

    @given(st.booleans(), st.none() | st.datetimes(datetime(2027, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 - below
    def test_what_is_written_is_accepted(self, wildcard: bool, until: datetime | None) -> None:  # noqa: FBT001 - drawn
        until = until and until.replace(tzinfo=UTC)
        text = dns_persist01_value("ca.example", ACCOUNT, wildcard=wildcard, persist_until=until)
        assert persistent_record_allows(text, issuers=["ca.example"], account_uri=ACCOUNT, wildcard=wildcard, now=NOW)

    @given(st.text(max_size=80))
    def test_any_text_is_read(self, text: str) -> None:
        persistent_record_allows(text, issuers=["ca.example"], account_uri=ACCOUNT, wildcard=False)


class TestTlsAlpn01:
    """RFC 8737 section 3, RFC 8738 section 6."""

    @pytest.mark.parametrize(
        ("text", "server_name"),
        [
            ("www.Example.com", "www.example.com"),
            ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
            ("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"),
        ],
    )
    def test_the_server_name(self, text: str, server_name: str) -> None:
        assert tls_alpn01_server_name(Identifier.parse(text)) == server_name

    @pytest.mark.parametrize("text", ["www.example.com", "192.0.2.1"])
    def test_the_certificate(self, text: str) -> None:
        made = validation_certificate(Identifier.parse(text), "token.thumbprint", now=NOW)
        certificate = x509.load_pem_x509_certificate(made.certificate_pem)
        certificate.verify_directly_issued_by(certificate)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert [str(name.value) for name in names] == [text]
        extension = certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31"))
        assert extension.critical
        digest = hashlib.sha256(b"token.thumbprint").digest()
        assert extension.value.public_bytes() == b"\x04\x20" + digest
        assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
        assert certificate.not_valid_after_utc - NOW <= timedelta(days=1)
        assert "PRIVATE" not in repr(made)

    def test_no_wildcards(self) -> None:
        with pytest.raises(ValueError, match="wildcard"):
            validation_certificate(Identifier.dns("*.a.example"), "x")


@given(st.text(min_size=1, max_size=40, alphabet=st.characters(codec="ascii")))
def test_account_labels_are_one_dns_label(url: str) -> None:
    assert re.fullmatch(r"_[a-z2-7]{16}", account_label(url))
