"""A name is answered for one account or namespace at a time by the operator's own TLS responder."""

from __future__ import annotations

import datetime as dt

import pytest

from certwright.certificates.order.responses import response_fields, routed_names
from certwright.challenges.holders import Holders
from certwright.challenges.response import FileResponse, TlsAlpnResponse
from certwright.failures import classify
from certwright.http01.errors import SolverError
from certwright.http01.server_names import LEARNING_SECONDS, LINGER_SECONDS, NameUse, ServerNames
from certwright.http01.settings import Owner, PodSettings, Settings, SharedSettings, TlsRoute
from certwright.http01.tls_alpn01 import TlsAlpn01Presenter, shared_tls_look_up
from certwright.resources import AuthorizationStatus, Certificate, OrderStatus
from tests.fakes.http01 import FakeObjects

HOST = "bank.example.test"
OWNERS, TENANTS, AGAIN = (TlsAlpnResponse(HOST, of[:1], of) for of in ("1.owners", "2.tenants", "3.owners"))
NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


class Cluster:
    """Namespaces behind one operator, with a clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.statuses: list[NameUse] = []
        self.objects = {namespace: FakeObjects() for namespace in ("shop", "evil", "third")}
        self.restart()

    def restart(self) -> None:
        self.answers: Holders[FileResponse] = Holders()
        self.names = ServerNames(lambda: self.statuses, monotonic=lambda: self.now)

    def presenter(self, namespace: str, uid: str = "", *, pod: bool = False) -> TlsAlpn01Presenter:
        responder = PodSettings("certwright:1") if pod else SharedSettings("192.0.2.1", 8089, 8443)
        uid = uid or f"uid-{namespace}"
        return TlsAlpn01Presenter(
            self.objects[namespace],
            Owner(namespace, "web", uid, {"kind": "Certificate", "name": "web", "uid": uid}),
            Settings(responder=responder, route=TlsRoute(({"name": "front"},))),
            patience=dt.timedelta(minutes=1),
            answers=self.answers,
            names=self.names,
        )

    def presented(self) -> str | None:
        found = shared_tls_look_up(self.answers)(HOST)
        return None if found is None else found[1]

    def routes(self, namespace: str) -> int:
        return sum(kind == "TLSRoute" for kind, _ in self.objects[namespace].held)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


async def test_a_tenant_whose_order_waits_is_not_answered_for_through_the_route_of_the_owner(cluster: Cluster) -> None:
    await cluster.presenter("evil").present([TENANTS])
    with pytest.raises(SolverError, match=r"another namespace is validating bank\.example\.test") as refused:
        await cluster.presenter("shop").present([OWNERS])
    assert cluster.routes("shop") == 0, "its route would lead to the tenant's answer"
    assert classify(refused.value, NOW).kind == "transient"
    await cluster.presenter("evil").clean_up([TENANTS])
    cluster.now += LINGER_SECONDS
    await cluster.presenter("shop").present([OWNERS])
    assert cluster.presented() == OWNERS.key_authorization


async def test_no_other_is_answered_for_while_a_gateway_may_still_serve_the_removed_route(cluster: Cluster) -> None:
    shop, evil = cluster.presenter("shop"), cluster.presenter("evil")
    await shop.present([OWNERS])
    await shop.clean_up([OWNERS])
    cluster.now += LINGER_SECONDS - 1
    with pytest.raises(SolverError):
        await evil.present([TENANTS])
    assert cluster.presented() is None
    await shop.present([AGAIN])
    assert cluster.presented() == AGAIN.key_authorization, "its own next order does not wait"
    await shop.clean_up([AGAIN])
    cluster.now += LINGER_SECONDS
    await evil.present([TENANTS])
    assert cluster.presented() == TENANTS.key_authorization


@pytest.mark.parametrize(("namespace", "response"), [("third", AGAIN), ("shop", TENANTS)])
async def test_one_account_and_one_namespace_do_not_wait_for_themselves(
    cluster: Cluster, namespace: str, response: TlsAlpnResponse
) -> None:
    await cluster.presenter("shop").present([OWNERS])
    await cluster.presenter(namespace, "uid-other").present([response])
    assert cluster.routes(namespace) == (2 if namespace == "shop" else 1)


async def test_pods_answer_for_their_own_order_and_wait_for_nobody(cluster: Cluster) -> None:
    await cluster.presenter("evil", pod=True).present([TENANTS])
    await cluster.presenter("shop").present([OWNERS])
    await cluster.presenter("third", pod=True).present([TENANTS])
    assert cluster.presented() == OWNERS.key_authorization


async def test_a_restart_does_not_let_the_first_to_come_have_the_route_of_another(cluster: Cluster) -> None:
    """Statuses say whose routes an earlier process made. Both of two are refused until neither has one."""
    await cluster.presenter("shop").present([OWNERS])
    cluster.statuses = [
        NameUse.of(OWNERS, uid="uid-shop", namespace="shop"),
        NameUse.of(TENANTS, uid="uid-evil", namespace="evil"),
    ]
    cluster.restart()
    for namespace, response in (("evil", TENANTS), ("shop", OWNERS)):
        with pytest.raises(SolverError):
            await cluster.presenter(namespace).present([response])
    assert cluster.routes("shop") == 0
    assert cluster.presented() is None
    cluster.now += LINGER_SECONDS
    await cluster.presenter("shop").present([OWNERS])
    with pytest.raises(SolverError):
        await cluster.presenter("evil").present([TENANTS])
    assert cluster.presented() == OWNERS.key_authorization


async def test_a_status_that_claims_a_name_later_keeps_nobody_waiting(cluster: Cluster) -> None:
    await cluster.presenter("third").present([TlsAlpnResponse("x.example.test", "t", "t.third")])
    cluster.now += LEARNING_SECONDS
    cluster.statuses = [NameUse.of(TENANTS, uid="uid-evil", namespace="evil")]
    await cluster.presenter("shop").present([OWNERS])
    assert cluster.presented() == OWNERS.key_authorization


def test_a_tenant_with_thousands_of_names_is_neither_slow_nor_remembered_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted, as the time of a busy machine says nothing: each claim of a hundred names, beside 25,000 others."""
    now, compared, excludes = [1000.0], [0], NameUse.excludes
    names = ServerNames(monotonic=lambda: now[0])

    def counted(mine: NameUse, other: NameUse) -> bool:
        compared[0] += 1
        return excludes(mine, other)

    monkeypatch.setattr(NameUse, "excludes", counted)

    def claim(number: int) -> None:
        responses = [TlsAlpnResponse(f"n{one}.{number}.test", "t", "t.x") for one in range(100)]
        assert names.claim(Owner("evil", "web", f"uid-{number}", {}), responses) == []

    for number in range(250):
        claim(number)
    assert compared[0] == 0, "names of others are not gone through"
    for number in range(250):
        names.release(f"uid-{number}")
    now[0] += LINGER_SECONDS
    claim(1000)
    names.release("uid-1000")
    assert sum(map(len, names._uses.values())) == len(names._ending) == 100
    assert list(names._hosts) == ["uid-1000"]


def test_names_are_read_from_statuses() -> None:
    entries = (
        AuthorizationStatus(name=HOST, state="pending", presented=True, **response_fields(OWNERS)),
        AuthorizationStatus(name="b.example.test", state="pending", presented=False, **response_fields(OWNERS)),
        AuthorizationStatus(
            name="c.example.test",
            state="pending",
            presented=True,
            **response_fields(FileResponse("c.example.test", "t", "t.x")),
        ),
    )
    body = {
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-web"},
        "spec": {"secretName": "web", "dnsNames": [HOST], "issuerRef": {"name": "ca"}},
    }
    certificate = Certificate.parse(body)
    order = OrderStatus(
        account_url="https://ca.example/a",
        server="https://ca.example/d",
        names=(HOST,),
        spec_hash="x",
        authorizations=entries,
        state="pending",
        created_at=NOW,
    )
    certificate = certificate.replace(status=certificate.status.replace(order=order))
    assert list(routed_names([certificate])) == [NameUse("uid-web", HOST, "shop", "owners")]
