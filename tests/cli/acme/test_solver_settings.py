from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.solver_settings import SolverSpec, anchored, for_name, parse_solver

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("standalone", SolverSpec("standalone")),
        ("tls-alpn-01", SolverSpec("tls-alpn-01")),
        ("webroot:/var/www", SolverSpec("webroot", "/var/www")),
        ("webroot:/var/a=b", SolverSpec("webroot", "/var/a=b")),
        ("manual", SolverSpec("manual", "dns-01")),
        ("manual:http-01", SolverSpec("manual", "http-01")),
        ("Example.com=dns-01", SolverSpec("dns-01", zone="example.com")),
        ("*.example.com=manual:dns-persist-01", SolverSpec("manual", "dns-persist-01", "example.com")),
        ("example.com=webroot:/var/a=b", SolverSpec("webroot", "/var/a=b", "example.com")),
        ("2001:db8::1=standalone", SolverSpec("standalone", zone="2001:db8::1")),
    ],
)
def test_what_people_write_is_read(text: str, spec: SolverSpec) -> None:
    assert parse_solver(text) == spec


@pytest.mark.parametrize(
    "text", ["", "webroot", "webroot:", "standalone:80", "manual:tls-alpn-01", "http-01", "example.com=", "=x"]
)
def test_what_is_no_solver_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="standalone, webroot:FOLDER"):
        parse_solver(text)


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("other.test", (0, 3)),
        ("example.com", (1,)),
        ("www.example.com", (1,)),
        ("notexample.com", (0, 3)),
        ("a.sub.example.com", (2,)),
        ("192.0.2.1", (0, 3)),
    ],
)
def test_the_longest_zone_counts_and_the_order_within_it(name: str, places: tuple[int, ...]) -> None:
    texts = ["standalone", "example.com=dns-01", "sub.example.com=tls-alpn-01", "tls-alpn-01"]
    assert for_name([parse_solver(text) for text in texts], name) == places


def test_a_name_in_no_zone_has_no_solver() -> None:
    assert for_name([parse_solver("example.com=dns-01")], "other.test") == ()


def test_a_folder_is_written_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert anchored("webroot:html") == f"webroot:{tmp_path}/html"
    assert anchored("example.com=webroot:html/a=b") == f"example.com=webroot:{tmp_path}/html/a=b"
    assert anchored("webroot:/srv/a") == "webroot:/srv/a"
    assert anchored("example.com=manual:http-01") == "example.com=manual:http-01"
