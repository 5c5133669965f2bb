"""A spec that is changed in the middle of an issuance, at any of its requests: it takes effect, for one order more."""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from certwright.certificates.secret.facts import SecretFacts
from certwright.pki import load_private_key
from certwright.resources import ISSUING
from tests.fakes.operator import FakeKubeApi

from .bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.operator import Build

CA_CALLS: Final = ("new_order", "fetch_authorizations", "answer_challenge", "fetch_order", "finalize")
KUBE_CALLS: Final = ("add_finalizer", "apply_status", "apply_secret", "remove_finalizer", "delete_secret")
DNS_CALLS: Final = ("present", "check", "clean_up")
CALLS: Final = {"ca": CA_CALLS, "cluster": KUBE_CALLS, "dns": DNS_CALLS}
SITES: Final = [(target, call) for target, calls in CALLS.items() for call in calls]


def at_first(target: Any, call: str, act: Callable[[], object]) -> list[str]:
    """Have something happen before the first call of a method; return what has happened."""
    original = getattr(target, call)
    happened: list[str] = []

    async def called(*arguments: Any, **options: Any) -> Any:
        if not happened:
            happened.append(call)
            act()
        return await original(*arguments, **options)

    setattr(target, call, called)
    return happened


def entries(bench: Bench, name: str = "web-tls") -> dict[str, bytes]:
    data = bench.cluster.secrets.secrets["team", name]["data"]
    return {entry: base64.b64decode(content) for entry, content in data.items()}


def certified(bench: Bench) -> SecretFacts:
    name = bench.cluster.body["spec"]["secretName"]
    return SecretFacts.of(bench.cluster.secrets.secrets["team", name])


class Changing(Bench):
    """A Certificate whose spec is changed once."""

    def change(self, *names: str, **spec: Any) -> None:
        self.write(*names, metadata={"generation": 2}, **spec)


CHANGES: Final[dict[str, tuple[tuple[str, ...], dict[str, Any], Callable[[Changing], bool]]]] = {
    "names": (("b.example.test",), {}, lambda bench: names_of(bench) == ("b.example.test",)),
    "key": ((), {"privateKey": {"algorithm": "RSA"}}, lambda bench: isinstance(key_of(bench), RSAPrivateKey)),
    "encoding": ((), {"privateKey": {"encoding": "PKCS1"}}, lambda bench: b"BEGIN EC" in entries(bench)["tls.key"]),
    "formats": ((), {"additionalOutputFormats": [{"type": "DER"}]}, lambda bench: "key.der" in entries(bench)),
    "Secret": ((), {"secretName": "other"}, lambda bench: certified(bench).is_ours),
    "renewal": ((), {"renewal": {"policy": "Disabled"}}, lambda bench: bench.status.renewal_time is None),
}


def names_of(bench: Bench) -> tuple[str, ...]:
    facts = certified(bench).certificate
    assert facts is not None
    return facts.dns_names


def key_of(bench: Bench) -> Any:
    return load_private_key(entries(bench)["tls.key"])


@pytest.mark.parametrize("change", CHANGES)
async def test_it_takes_effect_wherever_it_comes(build: Build, now: dt.datetime, change: str) -> None:
    names, spec, is_right = CHANGES[change]
    for target, call in SITES:
        bench = Changing(build, FakeKubeApi(), now)
        bench.write()
        happened = at_first(getattr(bench, target), call, lambda bench=bench: bench.change(*names, **spec))  # type: ignore[misc]
        await bench.run(3600)
        where = f"changed at {call}"
        assert happened, where
        assert (bench.condition().status, bench.status.observed_generation) == ("True", 2), where
        assert is_right(bench), where
        assert len(bench.ca.orders) <= 2, f"{where}: an order for what nobody asks for any more"
        assert (bench.dns.records, bench.status.order, bench.finalizers) == (set(), None, []), where


async def at_renewal(bench: Changing, **before: Any) -> bytes:
    """Have a certificate, and its renewal due; return its key."""
    bench.write(**before)
    await bench.run(60)
    assert bench.status.renewal_time is not None
    bench.now = bench.status.renewal_time
    return entries(bench)["tls.key"]


@pytest.mark.parametrize("site", [site for site in SITES if site[1] in (*CA_CALLS[:4], "present", "check")])
async def test_a_key_that_is_to_be_kept_from_now_on_is_kept_by_an_order_that_has_another(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime, site: tuple[str, str]
) -> None:
    bench = Changing(build, kube_api, now)
    before = await at_renewal(bench)
    target, call = site
    assert at_first(getattr(bench, target), call, lambda: bench.change(privateKey={"rotationPolicy": "Never"})) == []
    await bench.run(3600)
    assert bench.status.revision == 2
    assert entries(bench)["tls.key"] == before
    assert bench.secret_names == {"web-tls"}


async def test_a_key_that_is_not_to_be_kept_any_more_is_replaced_by_an_order_that_has_it(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Changing(build, kube_api, now)
    before = await at_renewal(bench, privateKey={"rotationPolicy": "Never"})
    at_first(bench.ca, "fetch_order", lambda: bench.change(privateKey={"rotationPolicy": "Always"}))
    await bench.run(3600)
    assert bench.status.revision == 2
    assert entries(bench)["tls.key"] != before


async def test_a_key_that_the_ca_has_certified_stays_with_its_certificate(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Changing(build, kube_api, now)
    before = await at_renewal(bench)
    at_first(bench.ca, "download_certificate", lambda: bench.change(privateKey={"rotationPolicy": "Never"}))
    await bench.run(3600)
    assert (bench.status.revision, len(bench.ca.orders)) == (2, 2)
    assert entries(bench)["tls.key"] != before
    kept = entries(bench)["tls.key"]
    assert bench.status.renewal_time is not None
    bench.now = bench.status.renewal_time
    await bench.run(60)
    assert bench.status.revision == 3
    assert entries(bench)["tls.key"] == kept


FIXES: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "another route of http-01": ({"generation": 2}, {"http01": {"ingress": {"ingressClassName": "public"}}}),
    "another Secret": ({"generation": 2}, {"secretName": "other"}),
    "labels that choose another solver": ({"labels": {"solver": "other"}}, {}),
}


async def fail_for_hours(bench: Bench) -> None:
    """Have an issuer, one of whose solvers selects by a label, and four attempts that fail."""
    solver = {"dns01": {"rfc2136": {"nameserver": "127.0.0.1:53"}}}
    bench.issuer_spec = {"solvers": [solver, {**solver, "selector": {"matchLabels": {"solver": "other"}}}]}
    bench.ready()
    bench.ca.verdict = "invalid"
    bench.write()
    await bench.run(3 * 3600)
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (4, 4)
    assert bench.status.next_attempt_time is not None
    assert bench.status.next_attempt_time > bench.now + dt.timedelta(hours=20)


async def test_a_label_that_no_solver_selects_by_is_no_reason_to_order_again(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Changing(build, kube_api, now)
    await fail_for_hours(bench)
    for value in ("a", "b"):
        bench.write(metadata={"labels": {"touched": value}})
        await bench.run(600)
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (4, 4)


@pytest.mark.parametrize(
    ("fix", "restarts"),
    [*((fix, False) for fix in FIXES), ("another route of http-01", True)],  # what labels were, no restart knows
)
async def test_attempts_begin_again_when_something_was_changed_that_they_may_have_failed_for(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime, fix: str, *, restarts: bool
) -> None:
    bench = Changing(build, kube_api, now)
    await fail_for_hours(bench)
    bench.ca.verdict = "ready"
    metadata, spec = FIXES[fix]
    bench.write(metadata=metadata, **spec)
    if restarts:
        bench.restart()
    await bench.run(60)
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 5)


async def test_what_attempts_failed_for_is_still_said_when_a_request_is_taken_out_and_they_do_not_begin_again(
    build: Build, kube_api: FakeKubeApi, now: dt.datetime
) -> None:
    bench = Changing(build, kube_api, now)
    bench.ca.verdict = "invalid"
    bench.write()
    await bench.run(3 * 3600)
    bench.change(request={"id": "again", "action": "Renew"})
    await bench.run(3600)
    assert bench.status.requests[-1].state == "Failed"
    assert "request" not in bench.cluster.body["spec"]
    assert (len(bench.ca.orders), bench.status.failed_attempts) == (5, 5)
    assert (bench.condition().reason, bench.condition(ISSUING).reason) == ("ValidationFailed", "ValidationFailed")
