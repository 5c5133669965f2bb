from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.solver_settings import (
    DnsSpec,
    RecordOptions,
    SolverSettings,
    SolverSpec,
    anchored,
    anchored_file,
    dns_for_name,
    for_name,
    parse_dns,
    parse_record_options,
    parse_solver,
)

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


def test_each_provider_has_the_file_of_its_zone() -> None:
    settings = SolverSettings(
        dns=("cloudflare", "*.Example.org.=route53", "sub.example.org=rfc2136"),
        dns_credentials=("/etc/cf=1.yaml", "example.org=/etc/aws.yaml"),
    )
    general, zone, sub = specs = parse_dns(settings)
    assert general == DnsSpec("cloudflare", "/etc/cf=1.yaml")
    assert zone == DnsSpec("route53", "/etc/aws.yaml", "example.org")
    assert sub == DnsSpec("rfc2136", None, "sub.example.org")
    assert dns_for_name(specs, "other.test") is general
    assert dns_for_name(specs, "www.example.org") is zone
    assert dns_for_name(specs, "a.sub.example.org") is sub
    assert dns_for_name([zone], "other.test") is None


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"dns": ("a", "b")}, "--dns is given twice for all names"),
        ({"dns": ("x.test=a", "x.test=b")}, "--dns is given twice for the zone x.test"),
        ({"dns": ("x.test=",)}, "has no value"),
        ({"dns": ("a",), "dns_credentials": ("f", "g")}, "--dns-credentials is given twice"),
        ({"dns": ("x.test=a",), "dns_credentials": ("f",)}, "FILE is for no provider: give --dns PROVIDER"),
        ({"dns": ("a",), "dns_credentials": ("x.test=f",)}, "x.test=FILE is for no provider: give --dns x.test=PROV"),
        ({"dns_credentials": ("f",)}, "is for no provider"),
        ({"dns": ("a",), "nameserver": "ns1"}, "--dns a is for all names, which leaves none for --nameserver"),
    ],
)
def test_providers_that_do_not_fit_together_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_dns(SolverSettings(**settings))


def test_files_are_saved_with_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert anchored_file("cf.yaml") == str(tmp_path / "cf.yaml")
    assert anchored_file("Example.org=cf.yaml") == f"example.org={tmp_path / 'cf.yaml'}"
    assert anchored_file("/etc/a=b.yaml") == "/etc/a=b.yaml"


def test_each_provider_creates_records_in_its_zone_with_its_ttl_or_in_those_that_are_for_all() -> None:
    settings = SolverSettings(
        dns=("cloudflare", "example.org=route53"),
        dns_zones=("Example.ORG.=acme.example.net.",),
        dns_ttls=("300", "example.org=86400"),
    )
    assert parse_record_options(settings) == {
        "": RecordOptions(None, 300),
        "example.org": RecordOptions("acme.example.net", 86400),
    }
    server = SolverSettings(dns=("example.org=a",), nameserver="ns1", dns_zones=("acme.test",), dns_ttls=("1",))
    assert set(parse_record_options(server).values()) == {RecordOptions("acme.test", 1)}
    assert parse_record_options(SolverSettings()) == {"": RecordOptions()}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"dns_ttls": ("60",)}, "--dns-ttl is for records that are created: give --dns PROVIDER or --nameserver"),
        ({"dns_zones": ("a.test",)}, "--dns-zone is for records that are created"),
        (
            {"dns": ("a",), "dns_zones": ("x.test=a.test",)},
            "--dns-zone x.test=... is for no provider: give --dns x.test",
        ),
        ({"dns": ("a",), "dns_ttls": ("60", "90")}, "--dns-ttl is given twice for all names"),
        *(
            ({"dns": ("a",), "dns_ttls": (text,)}, f"--dns-ttl {text!r} is not a number of seconds from 1 to 86400")
            for text in ("0", "86401", "-1", "1.5", "1h", "\u0661", "9" * 50)
        ),
        ({"dns": ("a",), "dns_zones": ("b\u00fccher.test",)}, "--dns-zone: .* is not a domain name"),
        ({"dns": ("a",), "dns_zones": ("a..test",)}, "--dns-zone: .* is not a domain name"),
    ],
)
def test_a_zone_or_a_ttl_that_cannot_be_used_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_record_options(SolverSettings(**settings))
