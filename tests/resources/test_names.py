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
    ("rule", "text", "message"),
    [
        (names.DNS_NAME, "", "is empty"),
        (names.DNS_NAME, "Example.com", "upper-case"),
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
        (names.DNS_NAME, "example.com.", "end with a dot"),
        (names.DNS_NAME, "a_b.example.com", "underscore"),
        (names.DNS_NAME, "münchen.de", "xn--"),
        (names.DNS_NAME, "-a.example.com", "is not a DNS name"),
        (names.DNS_NAME, "a..example.com", "is not a DNS name"),
        (names.DNS_NAME, f"{LABEL_63}a.example.com", "longer than 63"),
        (names.DNS_NAME, f"{LABEL_63}.{LABEL_63}.{LABEL_63}.{'a' * 62}", "longer than 253"),
        (names.DNS_NAME, "example.com\n", "is not a DNS name|ASCII"),
        (names.COMMON_NAME, f"{LABEL_63}.a", "longer than 64"),
        (names.ZONE_NAME, "*.example.com", "without \\*"),
        (names.ZONE_NAME, "Example.com", "upper-case"),
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
