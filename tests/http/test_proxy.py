"""Proxies of the environment, as `urllib` and most programs read it."""

from __future__ import annotations

import os

import pytest

from certwright.http.proxy import environment_proxies, environment_proxy


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("settings", "scheme", "host", "proxy"),
    [
        ({}, "https", "ca.test", None),
        ({"HTTPS_PROXY": "http://p.test:1"}, "https", "ca.test:14000", "http://p.test:1"),
        ({"https_proxy": "p.test:1"}, "https", "ca.test", "http://p.test:1"),
        ({"HTTPS_PROXY": "http://p.test:1"}, "http", "ca.test", None),
        ({"ALL_PROXY": "socks5://p.test:1"}, "http", "ca.test", "socks5://p.test:1"),
        ({"ALL_PROXY": "http://a.test", "HTTPS_PROXY": "http://p.test"}, "https", "ca.test", "http://p.test"),
        ({"HTTPS_PROXY": "http://p.test", "NO_PROXY": "*"}, "https", "ca.test", None),
        ({"HTTPS_PROXY": "http://p.test", "NO_PROXY": "other.test, ca.test"}, "https", "ca.test:14000", None),
        ({"HTTPS_PROXY": "http://p.test", "NO_PROXY": ".test"}, "https", "a.ca.test", None),
        ({"HTTPS_PROXY": "http://p.test", "NO_PROXY": "ca.test"}, "https", "notca.test", "http://p.test"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": ""}, "https", "ca.test", None),
        *(
            (
                {"HTTPS_PROXY": "http://p.test", "NO_PROXY": exceptions},
                "https",
                host,
                None if direct else "http://p.test",
            )
            for exceptions, host, direct in (
                ("10.0.0.0/8", "10.1.2.3:6443", True),
                ("10.0.0.1/8", "10.1.2.3", True),
                ("10.0.0.0/8", "11.1.2.3", False),
                ("10.0.0.0/8", "10.example.test", False),
                ("10.1.2.3", "10.1.2.3:6443", True),
                ("10.1.2.3:6443", "10.1.2.3:6443", True),
                ("10.1.2.3:443", "10.1.2.3", True),
                ("10.1.2.3:6443", "10.1.2.3", False),
                ("10.0.0.0/8:6443", "10.1.2.3:6443", True),
                ("::1", "[::1]:14000", True),
                ("[::1]", "[::1]", True),
                ("[::1]:14000", "[::1]:14000", True),
                ("[::1]:443", "[::1]:14000", False),
                ("0:0:0:0:0:0:0:1", "[::1]", True),
                ("fd00::/8", "[fd12:3456::1]:443", True),
                ("[fd00::]/8", "[fd12:3456::1]:443", True),
                ("fd00::/8", "[fe80::1]", False),
                ("10.0.0.0/8", "[::ffff:10.0.0.1]", True),
                ("*.test", "ca.test", True),
                ("*.ca.test", "a.ca.test", True),
                ("CA.test", "ca.test", True),
                ("ca.test", "CA.TEST.:14000", True),
                ("ca.test.", "ca.test", True),
                ("ca.test:14000", "ca.test:14000", True),
                ("ca.test:14000", "ca.test", False),
                ("a.test ca.test", "ca.test", True),
                (",, .", "ca.test", False),
                ("10.0.0.0/99,nonsense/8,[", "10.1.2.3", False),
            )
        ),
    ],
)
def test_the_environment_says_which_way_to_a_host(
    settings: dict[str, str], scheme: str, host: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert environment_proxy(scheme, host) == proxy
    assert proxy is None or proxy in environment_proxies()


def test_each_proxy_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://p.test:1")
    monkeypatch.setenv("FTP_PROXY", "http://q.test:1")
    assert environment_proxies() == ("http://p.test:1",)
