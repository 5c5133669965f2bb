from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.http.errors import UnsafeUrl
from certwright.http.url import UrlPolicy, host_of, same_origin


@pytest.mark.parametrize(
    "url",
    [
        "https://ca.test/dir",
        "https://ca.test:14000/a?b=c",
        "https://[::1]:14000/dir",
        "https://192.0.2.1",
        "https://ca.test/a|b/{c}%2F",
    ],
)
def test_https_urls_pass_unchanged(url: str) -> None:
    assert UrlPolicy().check(url, what="a URL") == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ca.test/dir", "not https"),
        ("file:///etc/passwd", "not https"),
        ("/dir", "not https"),
        ("https:///dir", "has no host"),
        ("https://ca.test:0/", "has no host"),
        ("https://ca.test:99999/", "not a valid URL"),
        ("https://ca.test:port/", "not a valid URL"),
        ("https://[::1/", "not a valid URL"),
        ("https://a\\b/", "has no host"),
        ("https://user:secret@ca.test/", "credentials"),
        ("https://ca.test/#part", "fragment"),
        ("https://ca.test/a b", "visible ASCII"),
        ("https://ca.test/\r\nX: y", "visible ASCII"),
        ("https://cä.test/", "visible ASCII"),
        ("", "visible ASCII"),
        ("https://ca.test/" + "a" * 3000, "longer than"),
    ],
)
def test_other_urls_are_refused_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(UnsafeUrl, match=reason) as caught:
        UrlPolicy().check(url, what="the order's URL")
    assert "the order's URL" in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "secret" not in str(caught.value)


def test_plain_http_passes_only_where_it_is_allowed() -> None:
    assert UrlPolicy(allow_http=True).accepts("http://ca.test/dir")
    assert UrlPolicy(allow_http=True).accepts("https://ca.test/dir")
    assert not UrlPolicy(allow_http=True).accepts("ftp://ca.test/dir")


@given(st.text(max_size=100))
def test_any_text_is_accepted_or_refused_and_nothing_else(text: str) -> None:
    UrlPolicy().accepts(text)
    UrlPolicy().accepts(f"https://{text}")


def test_the_host_of_a_url_comes_without_credentials() -> None:
    assert host_of("https://user:secret@ca.test:14000/dir?x") == "ca.test:14000"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("https://ca.test/order/1", True),
        ("HTTPS://CA.test:443/order/1?x#y", True),
        ("https://ca.test:8443/order/1", False),
        ("http://ca.test/order/1", False),
        ("https://ca.test.evil.test/order/1", False),
        ("https://ca.test@evil.test/order/1", False),
        ("https://ca.test:x/", False),
        ("https://[::1/", False),
        ("ca.test/order/1", False),
        ("", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(other: str, *, same: bool) -> None:
    assert same_origin("https://ca.test/directory", other) is same
    assert same_origin(other, "https://ca.test/directory") is same


@given(st.text(max_size=100))
def test_any_text_has_an_origin_or_none(text: str) -> None:
    assert not same_origin(text, f"https://other.test/{text}")
