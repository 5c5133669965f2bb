import re

import pytest

from certwright.resources import names
from certwright.resources.text_rule import TextRule

LABEL_63 = "a" * 63
RULES = [pytest.param(rule, id=name) for name, rule in sorted(vars(names).items()) if isinstance(rule, TextRule)]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (names.DNS_NAME, "example.com"),
        (names.DNS_NAME, "*.example.com"),
        (names.DNS_NAME, "xn--mnchen-3ya.de"),
        (names.DNS_NAME, "3com.4you"),
        (names.DNS_NAME, "gitlab"),
        (names.DNS_NAME, f"{LABEL_63}.{LABEL_63}.{LABEL_63}.{'a' * 61}"),
        (names.ZONE_NAME, "example.com"),
        (names.OBJECT_NAME, "web-tls"),
        (names.OBJECT_NAME, "1.2.3"),
        (names.SECRET_KEY, "tls.key"),
        (names.SECRET_KEY, "API_KEY"),
        (names.ENDPOINT, "ns1.example.com"),
        (names.ENDPOINT, "ns1.example.com:5353"),
        (names.ENDPOINT, "ns1.example.com."),
        (names.ENDPOINT, "127.0.0.1:53"),
        (names.ENDPOINT, "127.0.0.1:65535"),
        (names.ENDPOINT, "[2001:db8::1]:53"),
        (names.ENDPOINT, "[2001:db8::1]"),
        (names.ENDPOINT, "2001:db8::1"),
        (names.TSIG_KEY_NAME, "acme-key"),
        (names.TSIG_KEY_NAME, "acme_key.example.com."),
        (names.HTTPS_URL, "https://acme-v02.api.letsencrypt.org/directory"),
        (names.HTTPS_URL, "https://127.0.0.1:14000/dir"),
        (names.HTTPS_URL, "https://[::1]:14000/dir?x=1"),
        (names.HTTPS_URL, "https://ca.example"),
        (names.EMAIL, "admin@example.test"),
        (names.EMAIL, "o'brien+acme@mail.notexample.com"),
        (names.BASE64_PEM, "LS0t"),
        (names.BASE64_PEM, "LS0t\nLS0=\n"),
    ],
)
def test_a_good_text_passes(rule: TextRule, text: str) -> None:
    assert rule.check(text) == text


@pytest.mark.parametrize(
    ("rule", "text", "normal"),
    [
        (names.DNS_NAME, "Example.COM", "example.com"),
        (names.DNS_NAME, "example.com.", "example.com"),
        (names.DNS_NAME, "*.München.de.", "*.xn--mnchen-3ya.de"),
        (names.DNS_NAME, "BÜCHER.example", "xn--bcher-kva.example"),
        (names.DNS_NAME, "例え。テスト", "xn--r8jz45g.xn--zckzah"),
        (names.ZONE_NAME, "Bücher.Example.", "xn--bcher-kva.example"),
        (names.ALLOWED_NAME, "*.{namespace}.Shop.Example.", "*.{namespace}.shop.example"),
        (names.ALLOWED_ZONE, "{namespace}-Dev.bücher.example", "{namespace}-dev.xn--bcher-kva.example"),
        (names.IP_ADDRESS, "2001:DB8:0:0::01", "2001:db8::1"),
        (names.IP_ADDRESS, "192.0.2.1", "192.0.2.1"),
        (names.IP_ADDRESS, "::ffff:192.0.2.1", "192.0.2.1"),
        (names.IP_RANGE, "192.0.2.1/24", "192.0.2.0/24"),
        (names.IP_RANGE, "2001:DB8::1", "2001:db8::1/128"),
        (names.COMMON_NAME, "WWW.example.com.", "www.example.com"),
        (names.COMMON_NAME, "2001:DB8::1", "2001:db8::1"),
    ],
)
def test_what_is_spelled_otherwise_is_read_in_its_normal_form(rule: TextRule, text: str, normal: str) -> None:
    assert rule.check(text) == normal
    assert rule.check(normal) == normal


@pytest.mark.parametrize(
    "text",
    [
        *("::", "::1", "1::", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2::7:8", "1:2:3:4:5:6:7:8", "1::3:4:5:6:7:8"),
        *("64:ff9b::192.0.2.1", "1:2:3:4:5:6:192.0.2.1", "::1:192.0.2.1"),
    ],
)
def test_every_form_of_an_ipv6_address_is_an_address(text: str) -> None:
    assert names.IP_ADDRESS.check(text)


@pytest.mark.parametrize(
    ("rule", "text", "message"),
    [
        (names.DNS_NAME, "", "is empty"),
        (names.DNS_NAME, "10.0.0.1", "IP address"),
        (names.DNS_NAME, "42", "IP address or a number"),
        (names.DNS_NAME, "2001:db8::1", "IP address"),
        (names.DNS_NAME, "example.1", "ends in a number"),
        (names.DNS_NAME, "https://example.com", "without scheme"),
        (names.DNS_NAME, "example.com:443", "without scheme, port"),
        (names.DNS_NAME, "*", "whole first label"),
        (names.DNS_NAME, "a.*.example.com", "whole first label"),
        (names.DNS_NAME, "w*.example.com", "whole first label"),
        (names.DNS_NAME, "*.*.example.com", "whole first label"),
        (names.DNS_NAME, "a_b.example.com", "underscore"),
        (names.DNS_NAME, "☃.net", "not a valid internationalized"),
        (names.DNS_NAME, "a\u200d.net", "not a valid internationalized"),
        (names.DNS_NAME, "a\uff0fb.net", "is not a DNS name|without scheme"),
        (names.DNS_NAME, "ü" * 63 + ".de", "longer than|not a valid"),
        (names.DNS_NAME, "münchen .de", "is not a DNS name"),
        (names.IP_ADDRESS, "192.0.2.300", "is not an IP address"),
        (names.IP_ADDRESS, "192.0.02.1", "leading zero"),
        (names.IP_ADDRESS, "192.0.2.0/24", "cannot be for a range"),
        (names.IP_ADDRESS, "[2001:db8::1]", "without brackets"),
        (names.IP_ADDRESS, "192.0.2.1:443", "without port"),
        (names.IP_ADDRESS, "fe80::1%eth0", "has a zone"),
        (names.IP_ADDRESS, "1::2::3", "is not an IP address"),
        (names.IP_ADDRESS, "1:2:3:4:5:6:7:8:9", "is not an IP address"),
        (names.IP_ADDRESS, "www.example.com", "dnsNames"),
        (names.IP_RANGE, "192.0.2.0/33", "is not a range"),
        (names.COMMON_NAME, "1.2.3", "ends in a number"),
        (names.COMMON_NAME, "ä" * 60 + ".example", "longer than 64|not a valid|longer than 63"),
        (names.DNS_NAME, "-a.example.com", "is not a DNS name"),
        (names.DNS_NAME, "a..example.com", "is not a DNS name"),
        (names.DNS_NAME, f"{LABEL_63}a.example.com", "longer than 63"),
        (names.DNS_NAME, f"{LABEL_63}.{LABEL_63}.{LABEL_63}.{'a' * 62}", "longer than 253"),
        (names.DNS_NAME, "example.com\n", "is not a DNS name|ASCII"),
        (names.COMMON_NAME, f"{LABEL_63}.a", "longer than 64"),
        (names.ZONE_NAME, "*.example.com", "without \\*"),
        (names.OBJECT_NAME, "other/web-tls", "other namespaces"),
        (names.OBJECT_NAME, "web_tls", "use -"),
        (names.SECRET_KEY, "a/b", "not a key of a Secret"),
        (names.ENDPOINT, "tcp://ns1.example.com", "without a scheme"),
        (names.ENDPOINT, "ns1.example.com:port", "is not a server"),
        (names.ENDPOINT, "ns1.example.com:65536", "is not a server"),
        (names.ENDPOINT, "ns1.example.com:0", "is not a server"),
        (names.ENDPOINT, "", "is empty"),
        (names.TSIG_KEY_NAME, "acme key", "not the name of a TSIG key"),
        (names.HTTPS_URL, "http://ca.example/dir", "requires HTTPS"),
        (names.HTTPS_URL, "https://user:secret@ca.example/dir", "user name or password"),
        (names.HTTPS_URL, "ca.example", "is not an https"),
        (names.API_URL, "http://acme-dns.dns.svc", "credentials are sent there: put a proxy that speaks TLS in front"),
        (names.API_URL, "https://user:secret@dns.example", "user name or password"),
        (names.EMAIL, "admin@example.com", "placeholder: write your own address"),
        (names.EMAIL, "you@mail.example.org", "placeholder"),
        (names.EMAIL, "mailto:admin@example.test", "without mailto"),
        (names.EMAIL, "a@example.test,b@example.test", "one address"),
        (names.EMAIL, "admin", "not an e-mail address"),
        (names.BASE64_PEM, "-----BEGIN CERTIFICATE-----\n", "base64"),
        (names.BASE64_PEM, "LS0t!", "not base64"),
    ],
)
def test_a_bad_text_is_refused_with_what_is_wrong(rule: TextRule, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule.check(text)


@pytest.mark.parametrize("rule", RULES)
def test_the_patterns_use_only_what_re2_has_too(rule: TextRule) -> None:
    for pattern in (rule.pattern, rule.unless or "", *(hint.pattern for hint in rule.hints)):
        assert not re.search(r"\(\?[^:]|\\[0-9dwsbZ]|[*+?}]\+", pattern)
        assert "'" not in pattern, "it would end the CEL literal"


@pytest.mark.parametrize("rule", RULES)
def test_a_message_has_one_line_and_follows_the_path(rule: TextRule) -> None:
    for message in (rule.message, *(hint.message for hint in rule.hints)):
        assert re.fullmatch(r"(is|has|must|may|ends) [^\n]+[^.\n]", message)
