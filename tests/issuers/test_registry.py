from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from certwright.issuers.authorities import Authority
from certwright.issuers.registry import IssuerRegistry, ReadyIssuer, issuer_keys
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from certwright.acme import Client
    from tests.fakes.operator import Build

CA = Key("Issuer", "team", "ca")


def ready(build: Build, key: Key = CA, server: str = "https://ca.example.test/directory") -> ReadyIssuer:
    return ReadyIssuer(
        key=key,
        uid="uid",
        generation=1,
        spec=build.issuer(server=server),
        client=cast("Client", SimpleNamespace(key=None)),
        account_url="https://ca.example.test/account/1",
        secrets_namespace="team",
    )


def test_an_issuer_is_unknown_until_it_was_looked_at() -> None:
    registry = IssuerRegistry()
    assert (registry.view(CA).state, registry.ready(CA)) == ("unknown", None)


def test_an_issuer_comes_and_goes(build: Build) -> None:
    registry = IssuerRegistry()
    issuer = ready(build)
    registry.set_ready(issuer)
    assert (registry.view(CA).state, registry.ready(CA)) == ("ready", issuer)
    registry.set_not_ready(CA, "the CA is down")
    assert (registry.view(CA).state, registry.view(CA).message) == ("not-ready", "the CA is down")
    assert registry.ready(CA) is None
    assert registry.loaded(CA) == issuer.loaded
    registry.set_ready(issuer)
    registry.set_missing(CA)
    assert (registry.view(CA).state, registry.ready(CA), registry.loaded(CA)) == ("missing", None, None)
    assert "Issuer team/ca does not exist" in registry.view(CA).message


def test_a_forgotten_kind_is_told_where_a_cluster_issuer_has_the_name(build: Build) -> None:
    registry = IssuerRegistry()
    registry.set_missing(CA)
    namesake = Key("ClusterIssuer", "", CA.name)
    assert "Create it" in registry.view(CA).message
    registry.set_not_ready(namesake, "its CA is down")
    assert registry.view(CA).state == "missing"
    assert "set spec.issuerRef.kind to ClusterIssuer" in registry.view(CA).message
    registry.set_missing(namesake)
    assert "Create it" in registry.view(CA).message
    assert "Create it" in registry.view(namesake).message
    registry.set_ready(ready(build))
    assert registry.view(CA).state == "ready"


def test_the_cas_in_use_are_those_of_ready_issuers(build: Build) -> None:
    registry = IssuerRegistry()
    registry.set_ready(ready(build))
    registry.set_ready(ready(build, Key("ClusterIssuer", "", "ca")))
    registry.set_ready(ready(build, Key("Issuer", "team", "gone"), "https://gone.example.test/directory"))
    registry.set_missing(Key("Issuer", "team", "gone"))
    assert set(registry.authorities()) == {Authority("https://ca.example.test/directory", None, skip_tls_verify=False)}


def test_whom_a_certificate_refers_to(build: Build) -> None:
    assert issuer_keys(build.certificate()) == (CA,)
    cluster = build.certificate(issuerRef={"name": "ca", "kind": "ClusterIssuer"})
    assert issuer_keys(cluster) == (Key("ClusterIssuer", "", "ca"),)
    assert (str(CA), str(issuer_keys(cluster)[0])) == ("Issuer team/ca", "ClusterIssuer ca")


def test_since_when_an_issuer_fails_is_taken_from_its_status_at_the_first_look_only() -> None:
    now = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
    hour = dt.timedelta(hours=1)
    key = Key("Issuer", "team", "ca")
    for said, since in ((now - hour, now - hour), (now + hour, now), (None, now)):
        registry = IssuerRegistry(lambda: now)
        registry.set_not_ready(key, "The CA is away.", said_since=said)
        assert registry.view(key).since == since
        registry.set_not_ready(key, "The CA is away.", said_since=now - 2 * hour)
        assert registry.view(key).since == since, "this process knows it by now"
