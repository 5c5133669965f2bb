"""Which DNS provider creates the records of a name: `--dns`, by zone, before the server for dynamic updates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import Identifier
from certwright.cli.acme.common import Common
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.output import Output
from certwright.cli.acme.session import Session
from certwright.cli.acme.solver_settings import SolverSettings
from certwright.cli.acme.solvers import make_solvers
from certwright.dns.providers.cloudflare import CloudflareConfig, CloudflareProvider
from certwright.dns.providers.rfc2136 import Rfc2136Provider

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Common(folder=tmp_path / "state"), Output(as_json=False, quiet=True))


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "cf.yaml"
    path.touch(mode=0o600)
    path.write_text("apiToken: abc\n")
    return str(path)


def providers(settings: SolverSettings, session: Session, name: str) -> list[tuple[str, Any]]:
    choose: Any = make_solvers(settings, session)
    found = choose(Identifier.parse(name))
    return [(one.challenge_type, getattr(getattr(one, "_presenter", one), "_provider", None)) for one in found]


def test_a_provider_alone_means_dns_01(session: Session, token: str) -> None:
    settings = SolverSettings(dns=("cloudflare",), dns_credentials=(token,))
    [(kind, provider)] = providers(settings, session, "*.example.com")
    assert (kind, type(provider)) == ("dns-01", CloudflareProvider)


@pytest.mark.parametrize("kind", ["dns-01", "dns-account-01", "dns-persist-01"])
def test_every_challenge_by_dns_takes_it(session: Session, token: str, kind: str) -> None:
    settings = SolverSettings(solvers=(kind,), dns=("cloudflare",), dns_credentials=(token,))
    [(found, provider)] = providers(settings, session, "example.com")
    assert (found, type(provider)) == (kind, CloudflareProvider)


def test_each_zone_has_its_provider_and_the_rest_the_name_server(session: Session, token: str) -> None:
    settings = SolverSettings(
        solvers=("standalone", "dns-01"),
        dns=("example.com=cloudflare",),
        dns_credentials=(f"example.com={token}",),
        nameserver="ns1.example",
    )
    [(http, _), (_, cloudflare)] = providers(settings, session, "www.example.com")
    [_, (_, server)] = providers(settings, session, "example.org")
    assert http == "http-01", "the order of --solver stays"
    assert (type(cloudflare), type(server)) == (CloudflareProvider, Rfc2136Provider)


def test_a_name_that_no_provider_is_for_is_told(session: Session, token: str) -> None:
    settings = SolverSettings(dns=("example.com=cloudflare",), dns_credentials=(f"example.com={token}",))
    with pytest.raises(UsageError, match=r"No --dns is for other.test: give --dns PROVIDER for all other names"):
        providers(settings, session, "other.test")
    both = SolverSettings(("standalone", "dns-01"), dns=settings.dns, dns_credentials=settings.dns_credentials)
    assert [kind for kind, _ in providers(both, session, "other.test")] == ["http-01"]


def test_one_account_has_one_provider_for_all_challenges(session: Session, token: str) -> None:
    settings = SolverSettings(("dns-01", "dns-account-01"), dns=("cloudflare",), dns_credentials=(token,))
    [(_, one), (_, two)] = providers(settings, session, "example.com")
    assert one is two
    [(_, again)] = providers(SolverSettings(dns=("cloudflare",), dns_credentials=(token,)), session, "example.org")
    assert again is one, "certificates of one run share the zones and the throttle of an account"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (SolverSettings(("dns-01",)), "--solver dns-01 needs what creates records: --dns PROVIDER"),
        (SolverSettings(("standalone",), dns=("cloudflare",)), "--dns needs a solver that creates records"),
        (SolverSettings(dns=("nobody",)), "no DNS provider 'nobody'"),
        (SolverSettings(dns=("cloudflare",), dns_credentials=("/nowhere",)), "Cannot read"),
    ],
)
def test_a_mistake_is_told_before_anything_is_ordered(session: Session, settings: SolverSettings, problem: str) -> None:
    with pytest.raises(Exception, match=problem):
        make_solvers(settings, session)


def test_records_are_looked_for_as_long_as_the_provider_usually_takes_unless_asked_otherwise(
    session: Session, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CloudflareConfig, "patience", timedelta(minutes=20), raising=False)
    settings = SolverSettings(dns=("cloudflare",), dns_credentials=(token,))
    usual: Any = make_solvers(settings, session)
    asked: Any = make_solvers(replace(settings, dns_timeout=30.0), session)
    identifier = Identifier.parse("example.com")
    assert [one._seconds for one in (*usual(identifier), *asked(identifier))] == [1200.0, 30.0]


def test_a_file_that_all_can_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str], token: str) -> None:
    session = Session(Common(folder=tmp_path / "state"), Output(as_json=False, quiet=False))
    settings = SolverSettings(dns=("cloudflare",), dns_credentials=(token,))
    make_solvers(settings, session)
    assert "chmod" not in capsys.readouterr().err
    (tmp_path / "cf.yaml").chmod(0o644)
    make_solvers(settings, session)
    assert f"all users on this host can read it: chmod 600 {token}" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["dns-01", "dns-account-01", "dns-persist-01"])
def test_a_zone_and_a_ttl_reach_the_solver_of_each_name(session: Session, token: str, kind: str) -> None:
    choose: Any = make_solvers(
        SolverSettings(
            (kind,),
            dns=("cloudflare", "example.org=cloudflare"),
            dns_credentials=(token, f"example.org={token}"),
            dns_zones=("example.org=acme.example.net",),
            dns_ttls=("120",),
        ),
        session,
    )
    ((rest,), (org,)) = (choose(Identifier.parse(name)) for name in ("example.com", "example.org"))
    found = [getattr(one, "_presenter", one) for one in (rest, org)]
    assert [(one._zone, one._ttl) for one in found] == [(None, 120), ("acme.example.net", 120)]


def test_a_time_that_is_asked_for_is_obeyed_even_if_it_is_the_default(
    session: Session, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CloudflareConfig, "patience", timedelta(minutes=20), raising=False)
    choose: Any = make_solvers(
        SolverSettings(dns=("cloudflare",), dns_credentials=(token,), dns_timeout=300.0), session
    )
    (solver,) = choose(Identifier.parse("example.com"))
    assert solver._seconds == 300.0
