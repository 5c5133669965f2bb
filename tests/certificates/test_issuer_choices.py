"""What of an issuer decides over an issuance: its solvers with what the CA offers, its chain, its moved directory."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from certwright.acme import ConnectionFailed, NoSuchChain
from certwright.certificates.steps import store_certificate
from certwright.challenges.errors import PersistentRecordMissing
from certwright.pki import generate_private_key
from tests.fakes.operator import SERVER
from tests.fakes.pki import make_ca

from .bench import CA, Bench

if TYPE_CHECKING:
    from tests.fakes.operator import Build, FakeKubeApi

DNS01 = {"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}}
PERSIST = {"dns01": {"challengeType": "dns-persist-01"}}
HTTP01: dict[str, Any] = {"http01": {"ingress": {}}}
OTHER = make_ca("Root X2")
MOVED = "https://ca.example.test/v2/directory"


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Bench:
    return Bench(build, kube_api, now)


def solved_by(bench: Bench, *solvers: dict[str, Any]) -> list[str]:
    """Have an issuer with these solvers; return where the types of those that are made will be."""
    made: list[str] = []

    async def nowhere(_name: str) -> str:
        return "http://nowhere.test"

    async def nothing(_names: list[str]) -> None:
        pass

    async def missing(_names: list[str]) -> None:
        raise PersistentRecordMissing("Publish this record.")

    async def make(_issuer: Any, solver: Any, _certificate: Any) -> Any:
        made.append(solver.challenge_type)
        if solver.challenge_type == "dns-01":
            return bench.dns
        if solver.persistent is not None:
            return SimpleNamespace(challenge_type="dns-persist-01", place=nowhere, expect=missing)
        return SimpleNamespace(challenge_type="http-01", place=nowhere, expect=nothing)

    bench.solver = make  # type: ignore[method-assign]
    bench.issuer_spec = {"solvers": list(solvers)}
    bench.ready()
    bench.restart()
    return made


async def test_a_solver_whose_challenge_the_ca_does_not_offer_gives_way_to_the_next_that_matches(bench: Bench) -> None:
    made = solved_by(bench, HTTP01, DNS01)
    bench.write()
    await bench.run()
    assert bench.condition().status == "True"
    assert made[:2] == ["http-01", "dns-01"]
    assert len(bench.ca.orders) == 1
    assert (bench.dns.records, bench.finalizers) == (set(), []), "and what it presented is removed"


async def test_an_order_that_is_resumed_keeps_the_solver_whose_challenge_is_offered(bench: Bench) -> None:
    solved_by(bench, HTTP01, DNS01)
    bench.dns.hidden = True
    bench.write()
    await bench.run(60)
    assert len(bench.dns.records) == 1
    bench.restart()
    await bench.run(60)
    bench.dns.hidden = False
    await bench.run()
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


async def test_a_solver_for_other_domains_is_no_alternative(bench: Bench) -> None:
    solved_by(bench, HTTP01, {**DNS01, "selector": {"dnsZones": ["b.test"]}})
    bench.write()
    await bench.run(30)
    assert bench.condition().reason == "NoChallenge"
    assert "no http-01 challenge for a.example.test; it offers dns-01" in bench.condition().message
    assert "Add a solver for one of these" in bench.condition().message


async def test_the_challenges_that_a_ca_offers_are_learnt_from_orders(bench: Bench) -> None:
    bench.write()
    await bench.run()
    assert bench.registry.challenges(CA) == {"dns-01"}


async def test_no_permanent_record_is_waited_for_once_the_ca_is_known_not_to_look_at_it(bench: Bench) -> None:
    solved_by(bench, PERSIST, DNS01)
    bench.write()
    await bench.run(30)
    assert bench.condition().reason == "PersistentRecordMissing", "nothing is known of the CA"
    bench.registry.remember_challenges(CA, SERVER, ["dns-01", "http-01"])
    await bench.run()
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == 1


@pytest.mark.parametrize(
    ("solvers", "known"), [((PERSIST,), ["dns-01"]), ((PERSIST, DNS01), ["dns-01", "dns-persist-01"])]
)
async def test_a_permanent_record_is_waited_for_where_nothing_else_would_do_or_the_ca_looks_at_it(
    bench: Bench, solvers: Any, known: list[str]
) -> None:
    solved_by(bench, *solvers)
    bench.registry.remember_challenges(CA, SERVER, known)
    bench.write()
    await bench.run(30)
    assert bench.condition().reason == "PersistentRecordMissing"
    assert bench.ca.orders == {}


async def test_what_a_former_ca_of_an_issuer_has_offered_says_nothing_of_the_present_one(bench: Bench) -> None:
    bench.registry.remember_challenges(CA, SERVER, ["dns-01"])
    bench.registry.remember_challenges(CA, SERVER, ["http-01"])
    assert bench.registry.challenges(CA) == {"dns-01", "http-01"}
    bench.registry.remember_challenges(CA, MOVED, ["dns-persist-01"])
    assert bench.registry.challenges(CA) == {"dns-persist-01"}


def prefer(bench: Bench, answer: Any) -> list[str]:
    """Have the issuer prefer a chain, and the CA answer so; return where the chains that are asked for will be."""
    asked: list[str] = []

    async def choose(default: Any, issuer: str) -> Any:
        asked.append(issuer)
        if isinstance(answer, Exception):
            raise answer
        return answer(default)

    bench.ca.choose_chain = choose  # type: ignore[attr-defined]
    bench.issuer_spec = {"preferredChain": "Root X2"}
    bench.ready()
    return asked


@pytest.mark.parametrize(
    "error",
    [
        NoSuchChain(wanted="Root X2", offered=("Root X1", "Old Root")),
        ConnectionFailed("The connection broke", host="ca.example.test", request_sent=True),
    ],
)
async def test_without_the_preferred_chain_the_default_one_is_used_and_that_is_told(
    bench: Bench, error: Exception
) -> None:
    asked = prefer(bench, error)
    bench.write()
    await bench.run()
    assert bench.condition().status == "True"
    assert asked == ["Root X2"]
    assert "Root X2" in bench.messages["PreferredChainMissing"]
    assert "default chain is used" in bench.messages["PreferredChainMissing"]


async def test_the_preferred_chain_is_stored(bench: Bench) -> None:
    prefer(bench, lambda default: SimpleNamespace(pem=default.pem + b"# the other chain\n"))
    bench.write()
    await bench.run()
    assert bench.condition().status == "True"
    assert "PreferredChainMissing" not in bench.events


@pytest.mark.parametrize("kind", ["for another key", "no certificate", "of other names", "that has ended"])
async def test_a_preferred_chain_that_cannot_be_used_costs_no_certificate(bench: Bench, kind: str) -> None:
    """The default chain is good, so nothing is to be ordered again, nor to wait."""

    def garbage(default: Any) -> Any:
        if kind == "no certificate":
            return SimpleNamespace(pem=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        if kind == "for another key":
            return SimpleNamespace(pem=issued(generate_private_key()))
        leaf = SimpleNamespace(public_key=x509.load_pem_x509_certificate(default.pem).public_key)
        if kind == "of other names":
            return SimpleNamespace(pem=issued(leaf, names=("other.example.test",)))
        return SimpleNamespace(pem=issued(leaf, not_after=bench.now - dt.timedelta(minutes=1)))

    def issued(like: Any, names: tuple[str, ...] = ("a.example.test",), **settings: Any) -> bytes:
        return OTHER.pem(OTHER.issue(like, names, **settings), OTHER.certificate)

    asked = prefer(bench, garbage)
    bench.write()
    await bench.run()
    assert bench.condition().status == "True"
    assert (len(bench.ca.orders), asked) == (1, ["Root X2"])
    assert "leads to Root X2 cannot be used" in bench.messages["PreferredChainMissing"]
    assert "default chain is used" in bench.messages["PreferredChainMissing"]
    assert bench.status.failed_attempts == 0


async def test_chains_that_never_come_keep_no_certificate_waiting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_certificate, "LONGEST_CHOICE_SECONDS", 0.05)
    asked = prefer(bench, None)

    async def never(_default: Any, issuer: str) -> Any:
        asked.append(issuer)
        await asyncio.Event().wait()

    bench.ca.choose_chain = never  # type: ignore[attr-defined]
    bench.write()
    await bench.run()
    assert bench.condition().status == "True"
    assert asked == ["Root X2"]
    assert "took longer than" in bench.messages["PreferredChainMissing"]


async def test_names_of_chains_are_shown_harmless_and_short(bench: Bench) -> None:
    prefer(bench, NoSuchChain(wanted="Root X2", offered=("\u202eRoot\nX9", "R" * 100_000)))
    bench.write()
    await bench.run()
    said = bench.messages["PreferredChainMissing"]
    assert said.isprintable()
    assert len(said) < 500


async def test_a_change_of_the_preferred_chain_replaces_nothing(bench: Bench) -> None:
    bench.write()
    await bench.run()
    asked = prefer(bench, lambda default: default)
    bench.restart()
    await bench.run()
    assert (len(bench.ca.orders), asked) == (1, [])


@pytest.mark.parametrize(("former", "orders"), [((SERVER,), 1), ((), 2)])
async def test_a_directory_that_moved_at_the_same_ca_is_no_reason_to_replace_a_certificate(
    bench: Bench, former: tuple[str, ...], orders: int
) -> None:
    bench.write()
    await bench.run()
    assert len(bench.ca.orders) == 1
    bench.issuer_spec = {"server": MOVED}
    bench.ready()
    issuer = bench.registry.ready(CA)
    assert issuer is not None
    bench.registry.set_ready(replace(issuer, former_servers=former))
    bench.restart()
    await bench.run()
    assert bench.condition().status == "True"
    assert len(bench.ca.orders) == orders
