"""Mistakes about solvers, keys and DNS servers: each is told, harms nobody else, and once put right is over."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from harness import Tenant, issuer, tsig_secret
from harness.mistakes import Mistake, shown, wait_event
from testbed.parts.bind import OUTSIDER_KEY
from testbed.ports import allocator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("operator")

OPERATOR_NAMESPACE = "certwright"
NOT_BASE64 = "?no-base64-but-secret?"
OTHER_SECRET = base64.b64encode(secrets.token_bytes(32)).decode()


class Wrong:
    """Applies an issuer with a mistake in its solver and a Certificate that needs it, both of one name."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant

    def dns_name(self, name: str) -> str:
        """A name that nobody has an authorization for yet."""
        return f"{name}.{self.tenant.namespace}.example.test"

    def apply(self, name: str, *dns_names: str, solver: dict[str, Any] | None = None, **settings: Any) -> None:
        self.issuer(name, solver=solver, **settings)
        self.tenant.apply(name, *(dns_names or (self.dns_name(name),)), issuerRef={"name": name})

    def issuer(self, name: str, *, solver: dict[str, Any] | None = None, **settings: Any) -> None:
        given: dict[str, Any] = {} if solver is None else {"solvers": [solver]}
        self.tenant.cluster.apply(issuer(self.tenant.bed, self.tenant.namespace, name=name, **settings, **given))

    def solver(self, rfc2136: dict[str, Any] | None = None, **dns01: Any) -> dict[str, Any]:
        """The bed's solver, but for the given fields."""
        good = issuer(self.tenant.bed, self.tenant.namespace)["spec"]["acme"]["solvers"][0]["dns01"]
        return {"dns01": {**good, **dns01, "rfc2136": {**good["rfc2136"], **(rfc2136 or {})}}}

    def secret(self, name: str, **entries: str) -> str:
        """Apply a Secret with entries of plain text; return its name."""
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": self.tenant.namespace}}
        self.tenant.cluster.apply({**body, "stringData": entries})
        return name

    def good_secret(self, name: str) -> None:
        self.tenant.cluster.apply(tsig_secret(self.tenant.bed, self.tenant.namespace, name=name))


def wildcard_by_http01(wrong: Wrong) -> Mistake:
    name = f"*.{wrong.dns_name('wildcard-by-http01')}"
    wrong.apply("wildcard-by-http01", name, solver={"http01": {"ingress": {}}})
    return Mistake(
        "WildcardNeedsDNS01",
        (f"{name} is a wildcard", "which requires dns-01", "Add a dns01 solver"),
        lambda: wrong.issuer("wildcard-by-http01"),
    )


def only_http01(wrong: Wrong) -> Mistake:
    wrong.apply("only-http01", solver={"http01": {"ingress": {}, "responder": "shared"}})
    return Mistake(
        "ResponderUnavailable",
        ("has a solver with responder shared", "start it with --responder-address", "use responder pod"),
        lambda: wrong.issuer("only-http01"),
    )


def no_solver_fits(wrong: Wrong) -> Mistake:
    wrong.apply("no-solver-fits", solver={**wrong.solver(), "selector": {"dnsZones": ["elsewhere.test"]}})
    return Mistake(
        "NoSolver",
        (f"No solver of the issuer matches {wrong.dns_name('no-solver-fits')}", "their selectors"),
        lambda: wrong.issuer("no-solver-fits"),
    )


def no_tsig_secret(wrong: Wrong) -> Mistake:
    wrong.apply("no-tsig-secret", tsig="comes-later")
    return Mistake(
        "CredentialsMissing",
        (f"Secret {wrong.tenant.namespace}/comes-later", "tsigSecretSecretRef", "does not exist", "Create it"),
        lambda: wrong.good_secret("comes-later"),
    )


def no_tsig_secret_for_a_cluster_issuer(wrong: Wrong) -> Mistake:
    tenant, name = wrong.tenant, f"cluster-{wrong.tenant.namespace}"
    tenant.cluster.apply(issuer(tenant.bed, None, name=name, tsig=name))
    wrong.good_secret(name)  # in the Certificate's namespace it is of no use
    reference = {"name": name, "kind": "ClusterIssuer"}
    tenant.apply("no-tsig-secret-for-a-cluster-issuer", wrong.dns_name("of-a-cluster-issuer"), issuerRef=reference)
    return Mistake(
        "CredentialsMissing",
        (f"Secret {OPERATOR_NAMESPACE}/{name}", f"ClusterIssuer {name}", "Create it"),
        lambda: tenant.cluster.apply(tsig_secret(tenant.bed, OPERATOR_NAMESPACE, name=name)),
    )


def tsig_secret_without_the_key(wrong: Wrong) -> Mistake:
    secret = wrong.secret("other-entry", password=OTHER_SECRET)
    wrong.apply("tsig-secret-without-the-key", tsig=secret)
    return Mistake(
        "CredentialsMissing",
        (f"Secret {wrong.tenant.namespace}/{secret} has no entry secret", "Put the TSIG secret there"),
        lambda: wrong.good_secret(secret),
    )


def tsig_secret_is_not_base64(wrong: Wrong) -> Mistake:
    secret = wrong.secret("not-base64", secret=NOT_BASE64)
    wrong.apply("tsig-secret-is-not-base64", tsig=secret)
    return Mistake(
        "InvalidTSIGKey",
        (
            "is not base64",
            f"the entry secret of Secret {wrong.tenant.namespace}/{secret}",
            "from the server's configuration",
        ),
        lambda: wrong.good_secret(secret),
    )


def wrong_tsig_secret(wrong: Wrong) -> Mistake:
    secret = wrong.secret("another-secret", secret=OTHER_SECRET)
    wrong.apply("wrong-tsig-secret", tsig=secret)
    return Mistake(
        "TSIGRejected",
        (
            f"The DNS server {wrong.tenant.bed.bind.address} has a different secret",
            "BADSIG",
            f"the entry secret of Secret {wrong.tenant.namespace}/{secret}",
            f"for _acme-challenge.{wrong.dns_name('wrong-tsig-secret')}",
            "Compare the key's name, algorithm and secret",
        ),
        lambda: wrong.good_secret(secret),
    )


def unknown_tsig_key(wrong: Wrong) -> Mistake:
    wrong.apply("unknown-tsig-key", solver=wrong.solver({"tsigKeyName": "nobody"}))
    return Mistake(
        "TSIGRejected",
        ("does not know the TSIG key", "TSIG key nobody", "BADKEY"),
        lambda: wrong.issuer("unknown-tsig-key"),
    )


def key_without_rights(wrong: Wrong) -> Mistake:
    secret = wrong.secret("outsider", secret=wrong.tenant.bed.bind.tsig_keys[OUTSIDER_KEY].secret)
    wrong.apply(
        "key-without-rights",
        solver=wrong.solver({"tsigKeyName": OUTSIDER_KEY, "tsigSecretSecretRef": {"name": secret, "key": "secret"}}),
    )
    return Mistake(
        "DNSUpdateRefused",
        (
            "refused to update the zone example.test",
            f"does not allow the key {OUTSIDER_KEY}",
            f"for _acme-challenge.{wrong.dns_name('key-without-rights')}",
        ),
        lambda: wrong.issuer("key-without-rights"),
    )


def update_server_is_down(wrong: Wrong) -> Mistake:
    nobody = f"127.0.0.1:{allocator.take()}"
    wrong.apply("update-server-is-down", solver=wrong.solver({"nameserver": nobody}))
    return Mistake(
        "DNSServerUnreachable",
        (f"The DNS server {nobody} cannot be reached", "connection refused", "Check that it is running"),
        lambda: wrong.issuer("update-server-is-down"),
    )


def resolver_is_down(wrong: Wrong) -> Mistake:
    nobody = f"127.0.0.1:{allocator.take()}"
    wrong.apply("resolver-is-down", solver=wrong.solver(nameservers=[nobody]))
    return Mistake(
        "DNSLookupFailed",
        (f"_acme-challenge.{wrong.dns_name('resolver-is-down')}", nobody, "connection refused", "nameservers"),
        lambda: wrong.issuer("resolver-is-down"),
    )


def name_outside_the_zones(wrong: Wrong) -> Mistake:
    wrong.apply("name-outside-the-zones", "web.outside.test")
    return Mistake(
        "DNSLookupFailed",
        ("_acme-challenge.web.outside.test", wrong.tenant.bed.bind.address, "REFUSED", "Check the domain"),
        lambda: wrong.tenant.apply(
            "name-outside-the-zones", wrong.dns_name("inside"), issuerRef={"name": "name-outside-the-zones"}
        ),
    )


def record_is_never_seen(wrong: Wrong) -> Mistake:
    server = wrong.tenant.bed.challtestsrv.dns_address
    solver = wrong.solver(authoritativeNameservers=[server], propagationTimeout="1s")
    wrong.apply("record-is-never-seen", solver=solver)
    name = wrong.dns_name("record-is-never-seen")
    return Mistake(
        "RecordNotVisible",
        (f"_acme-challenge.{name} TXT ", f"for {name} is not visible", f"{server} has no such record", "Check the"),
        lambda: wrong.issuer("record-is-never-seen"),
    )


CASES: tuple[Callable[[Wrong], Mistake], ...] = (
    wildcard_by_http01,
    only_http01,
    no_solver_fits,
    no_tsig_secret,
    no_tsig_secret_for_a_cluster_issuer,
    tsig_secret_without_the_key,
    tsig_secret_is_not_base64,
    wrong_tsig_secret,
    unknown_tsig_key,
    key_without_rights,
    update_server_is_down,
    resolver_is_down,
    name_outside_the_zones,
    record_is_never_seen,
)
NAMES = [case.__name__.replace("_", "-") for case in CASES]


@pytest.fixture(scope="module")
def place(module_tenant: Tenant) -> Iterator[Tenant]:
    yield module_tenant
    left_over = f"cluster-{module_tenant.namespace}"
    module_tenant.cluster.delete("ClusterIssuer", None, left_over)
    for secret in (left_over, f"{left_over}-account"):
        module_tenant.cluster.delete("Secret", OPERATOR_NAMESPACE, secret)


@pytest.fixture(scope="module")
def mistakes(place: Tenant) -> dict[str, Mistake]:
    """All of them at once, and a good Certificate after them."""
    wrong = Wrong(place)
    made = {name: case(wrong) for name, case in zip(NAMES, CASES, strict=True)}
    place.apply("good", wrong.dns_name("good"))
    return made


@pytest.fixture(scope="module")
def put_right(place: Tenant, mistakes: dict[str, Mistake]) -> None:
    """All of them, so that the Certificates go on side by side."""
    for name, mistake in mistakes.items():
        place.not_ready(name, mistake.reason)
    for mistake in mistakes.values():
        mistake.put_right()


@pytest.mark.parametrize("name", NAMES)
def test_the_mistake_is_told_in_the_condition_and_an_event(
    place: Tenant, mistakes: dict[str, Mistake], name: str
) -> None:
    mistake = mistakes[name]
    message = place.not_ready(name, mistake.reason)["message"]
    assert not [words for words in mistake.words if words not in message], message
    assert "The next attempt is at " in message
    event = wait_event(place.cluster, place.namespace, name, mistake.reason)
    assert event["type"] == "Warning"
    assert not [words for words in mistake.words if words not in event["message"]], event["message"]


@pytest.mark.usefixtures("mistakes")
def test_a_good_certificate_beside_them_is_issued(place: Tenant) -> None:
    place.ready("good")


@pytest.mark.usefixtures("put_right")
@pytest.mark.parametrize("name", NAMES)
def test_what_was_put_right_goes_on_by_itself(place: Tenant, name: str) -> None:
    place.ready(name)


@pytest.mark.usefixtures("mistakes")
def test_no_key_is_shown(place: Tenant, operator_log: Path) -> None:
    seen = shown(place, operator_log)
    assert "has a different secret" in seen
    keys = [NOT_BASE64, OTHER_SECRET, *(key.secret for key in place.bed.bind.tsig_keys.values())]
    assert not [key for key in keys if key in seen or base64.b64encode(key.encode()).decode() in seen]
    assert "PRIVATE KEY" not in seen


def test_a_dns_server_that_comes_back_is_noticed(tenant: Tenant) -> None:
    tenant.apply("before", f"before.{tenant.namespace}.example.test")
    tenant.ready("before")
    bind = tenant.bed.bind
    bind.stop()
    try:
        tenant.apply("during", f"during.{tenant.namespace}.example.test")
        message = tenant.not_ready("during", "DNSLookupFailed")["message"]
        assert f"_acme-challenge.during.{tenant.namespace}.example.test" in message
        assert f"{bind.address} cannot be reached: connection refused" in message
        tenant.ready("before")
    finally:
        bind.start()
    tenant.ready("during")
