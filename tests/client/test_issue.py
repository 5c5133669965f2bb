"""What `issue` does around the protocol; the whole of it is shown on Pebble in tests/integration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certwright.acme import (
    AccountKey,
    Budget,
    BudgetExhausted,
    Client,
    ConnectionFailed,
    Identifier,
    InvalidCertificate,
    InvalidIdentifier,
    Limit,
    LimitProfile,
    OrderFailed,
    ProblemError,
    RateLimited,
    Response,
    TimedOut,
)
from certwright.client import (
    BudgetWaited,
    CaaObjected,
    Event,
    InvalidPrivateKey,
    KeyReused,
    KeySpec,
    OrderNotResumed,
    OrderPlaced,
    OrderResumed,
    UnusableCertificate,
    issue,
    renew,
)
from certwright.dns import CaaRecord, CaaSet, ResolutionFailed
from certwright.pki import build_csr, load_private_key, read_csr
from tests.fakes.acme import ORIGIN, FakeCa, Request
from tests.fakes.pki import make_leaf
from tests.fakes.solvers import Recorder

if TYPE_CHECKING:
    from certwright.acme import Response
    from certwright.dns import DnsView
    from tests.fakes.time import FakeTime


@pytest.mark.parametrize(
    ("names", "options", "error"),
    [
        (["a b"], {}, InvalidIdentifier),
        ([], {}, InvalidIdentifier),
        (["a.example"], {"common_name": "b.example"}, InvalidIdentifier),
        (["a.example"], {"key": b"hunter2"}, InvalidPrivateKey),
        (["a.example"], {"key": KeySpec("ECDSA", 123)}, InvalidPrivateKey),
        (["a.example"], {"key": "hunter2"}, InvalidPrivateKey),
        (["a.example"], {"key": AccountKey.generate()}, InvalidPrivateKey),
        # One of each where several are expected: its letters would be names.
        ("abc", {}, TypeError),
        (Identifier.dns("a.example"), {}, TypeError),
        (["a.example"], {"solvers": Recorder()}, TypeError),
        (["a.example"], {"solvers": [Recorder]}, TypeError),
        (["a.example"], {"solvers": [object()]}, TypeError),
    ],
)
async def test_mistakes_show_before_anything_is_ordered(
    client: Client, ca: FakeCa, names: list[str], options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        await issue(client, names, **{"solvers": [Recorder()], **options})
    assert "hunter2" not in str(caught.value)
    assert ca.paths() == []


async def test_the_account_key_is_refused_before_anything_is_ordered(client: Client, ca: FakeCa) -> None:
    """RFC 8555 section 11.1."""
    key = load_private_key(client.key.to_pem())
    csr = read_csr(build_csr(key, dns_names=["a.example"]))
    for given in (client.key.to_pem(), key, csr):
        with pytest.raises(KeyReused):
            await issue(client, ["a.example"], solvers=[Recorder()], key=given)
    assert ca.paths() == []


async def test_a_time_without_a_zone_is_not_taken_for_one_of_this_host(client: Client, ca: FakeCa) -> None:
    time = datetime(2026, 6, 1)  # noqa: DTZ001 - what is refused
    with pytest.raises(ValueError, match="not_before has no time zone"):
        await issue(client, ["a.example"], solvers=[Recorder()], not_before=time)
    with pytest.raises(ValueError, match="not_after has no time zone"):
        await issue(client, ["a.example"], solvers=[Recorder()], not_after=time)
    assert "/new-order" not in ca.paths()


async def test_a_failed_order_counts_in_the_budget(client: Client, ca: FakeCa, time: FakeTime) -> None:
    budget = Budget(LimitProfile(failed_validations=Limit(1, timedelta(hours=1))), clock=time.clock())
    solver = Recorder()
    ca.order_states.extend(["invalid"])

    ca.reply(
        "/authz/0",
        lambda _: ca.json(ca.authorization(0)),
        lambda _: ca.json(ca.authorization(0, status="invalid", error={"type": "x", "detail": "no"})),
    )
    with pytest.raises(OrderFailed):
        await issue(client, ["*.a.example"], solvers=[solver], budget=budget)
    assert solver.calls[-1] == "clean_up *.a.example"
    with pytest.raises(BudgetExhausted, match=r"failed validations of \*\.a\.example"):
        await issue(client, ["*.a.example"], solvers=[solver], budget=budget, timeout=60)


@pytest.mark.parametrize(
    ("end", "given_back"),
    [
        ("a refused order", True),
        ("a failed proof", True),
        ("a refused request", True),
        ("an order that fails in the end", True),
        ("an answer that is lost", False),
    ],
)
async def test_only_what_may_have_been_issued_stays_counted_as_a_certificate(
    client: Client, ca: FakeCa, time: FakeTime, *, end: str, given_back: bool
) -> None:
    """CAs count certificates when they are issued; a name that cannot be proven must not block itself for days."""
    budget = Budget(LimitProfile(certificates_per_exact_set=Limit(1, timedelta(days=7))), clock=time.clock())

    def refusal(request: Request) -> Response:
        return ca.problem("malformed", "no", request)

    match end:
        case "a refused order":
            ca.reply("/new-order", refusal)
        case "a failed proof":
            ca.order_states.extend(["invalid", "invalid"])
        case "a refused request":
            ca.order_states.extend(["ready"])
            ca.reply("/finalize", refusal)
        case "an order that fails in the end":
            ca.order_states.extend(["ready", "invalid", "invalid"])
        case "an answer that is lost":
            ca.order_states.extend(["ready"])
            ca.reply("/finalize", TimedOut("late", host="ca.test"))
    with pytest.raises((OrderFailed, ProblemError, TimedOut)):
        await issue(client, ["a.example"], solvers=[Recorder()], budget=budget)
    answer = budget.reserve(account="another", identifiers=[Identifier.dns("a.example")])
    assert answer.granted is given_back


async def test_a_renewal_that_became_an_ordinary_order_is_counted_as_one(
    client: Client, ca: FakeCa, time: FakeTime
) -> None:
    ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info"
    budget = Budget(LimitProfile(certificates_per_exact_set=Limit(1, timedelta(days=7))), clock=time.clock())
    pem = x509.load_der_x509_certificate(make_leaf(key_id=b"k", subject="leaf.example")).public_bytes(
        serialization.Encoding.PEM
    )
    ca.order_states.extend(["ready"])
    ca.reply("/new-order", lambda request: ca.problem("alreadyReplaced", "by another", request, status=409))
    ca.reply("/finalize", TimedOut("late", host="ca.test"))
    with pytest.raises(TimedOut):
        await issue(client, ["leaf.example"], solvers=[Recorder()], replaces=pem, budget=budget)
    assert not budget.reserve(account="another", identifiers=[Identifier.dns("leaf.example")]).granted


async def test_a_renewal_orders_what_was_asked_for_and_not_what_was_issued(client: Client, ca: FakeCa) -> None:
    pem = x509.load_der_x509_certificate(make_leaf(subject="leaf.example")).public_bytes(serialization.Encoding.PEM)
    for names, ordered in (
        (["*.leaf.example", "leaf.example"], ["*.leaf.example", "leaf.example"]),
        (None, ["leaf.example"]),
    ):
        ca.reply("/new-order", TimedOut("late", host="ca.test"))
        with pytest.raises(TimedOut):
            await renew(client, pem, names=names, solvers=[Recorder()])
        found = [entry["value"] for entry in ca.requests[-1].json["identifiers"]]
        assert found == ordered


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("www.example.com", {"type": "dns", "value": "WWW.Example.com."}),
        ("2001:db8::1", {"type": "ip", "value": "2001:0DB8:0:0:0:0:0:1"}),
    ],
)
async def test_an_order_is_resumed_in_whatever_form_the_ca_shows_its_names(
    client: Client, ca: FakeCa, name: str, shown: dict[str, str]
) -> None:
    ca.identifiers = [shown]
    ca.order_states.extend(["ready"])
    ca.reply("/finalize", TimedOut("late", host="ca.test"))
    events: list[Event] = []
    with pytest.raises(TimedOut):
        await issue(client, [name], solvers=[Recorder()], resume=f"{ORIGIN}/order/1", on_event=events.append)
    assert isinstance(events[0], OrderResumed)
    assert "/new-order" not in ca.paths()


async def test_it_waits_for_room_in_the_budget(client: Client, ca: FakeCa, time: FakeTime) -> None:
    budget = Budget(LimitProfile(orders_per_account=Limit(1, timedelta(seconds=30))), clock=time.clock())
    assert budget.reserve(account=client.account_url or "", identifiers=()).granted
    events: list[Event] = []
    ca.reply(
        "/new-order", lambda request: ca.problem("rateLimited", "slow down", request, headers={"Retry-After": "90"})
    )
    with pytest.raises(RateLimited):
        await issue(client, ["a.example"], solvers=[Recorder()], budget=budget, on_event=events.append)
    assert time.slept == [30 * 1.01]
    (waited,) = events
    assert isinstance(waited, BudgetWaited)
    assert str(waited) == (
        "Waiting 30 s, until 2026-03-01T12:00:30Z, for room in a rate limit of the CA: the number of new orders of this"
        " account (1 of 1 in 30 seconds)"
    )
    # What the CA said is remembered: not even asked again.
    with pytest.raises(BudgetExhausted, match="what the CA allows for these names"):
        await issue(client, ["a.example"], solvers=[Recorder()], budget=budget, timeout=60)
    assert ca.paths().count("/new-order") == 1


class Records:
    def __init__(self, *records: CaaRecord | Exception) -> None:
        self.records = records

    async def find_caa(self, name: str) -> CaaSet | None:
        for record in self.records:
            if isinstance(record, Exception):
                raise record
        return CaaSet(name, tuple(record for record in self.records if isinstance(record, CaaRecord)))

    @property
    def view(self) -> DnsView:
        return self  # type: ignore[return-value]  # as far as it is used


@pytest.mark.parametrize(
    ("records", "objections"),
    [
        (Records(CaaRecord("issue", "other.example")), 1),
        (Records(CaaRecord("issue", "ca.test")), 0),
        (Records(CaaRecord("issue", "ca.test; validationmethods=dns-01")), 0),
        (Records(CaaRecord("issue", "ca.test; validationmethods=http-01")), 1),
        (Records(ResolutionFailed("SERVFAIL")), 0),
    ],
)
async def test_caa_records_are_looked_at_and_stop_nothing(
    client: Client, ca: FakeCa, records: Records, objections: int
) -> None:
    events: list[Event] = []
    ca.reply("/new-order", lambda request: ca.problem("rateLimited", "enough of this test", request))
    with pytest.raises(RateLimited):
        await issue(
            client, ["a.example", "192.0.2.1"], solvers=[Recorder()], caa_view=records.view, on_event=events.append
        )
    found = [event for event in events if isinstance(event, CaaObjected)]
    assert len(found) == objections
    assert all("The CA is likely to refuse a.example" in str(event) for event in found)


@pytest.mark.parametrize(
    ("trouble", "state", "finalizations"),
    [
        (None, None, 1),
        ("broken", "processing", 1),
        ("broken", "valid", 1),
        ("broken", "ready", 2),
        ("orderNotReady", "processing", 1),
    ],
)
async def test_a_finalization_that_nobody_saw_end_is_looked_at_first(
    client: Client, ca: FakeCa, trouble: str | None, state: str | None, finalizations: int
) -> None:
    """And what the CA made of it is checked: this one sends a chain that is none."""
    ca.order_states.extend(["ready", *([state] if state else []), "valid"])
    if trouble == "broken":
        ca.reply("/finalize", ConnectionFailed("broke", host="ca.test", request_sent=True))
    elif trouble is not None:
        ca.reply("/finalize", lambda request: ca.problem(trouble, "not now", request, status=403))
    with pytest.raises(UnusableCertificate, match="a different certificate than ordered") as caught:
        await issue(client, ["a.example"], solvers=[Recorder()])
    assert caught.value.order_url == f"{ORIGIN}/order/1"
    assert caught.value.certificate_url == f"{ORIGIN}/cert"
    assert ca.paths().count("/finalize") == finalizations


async def test_a_finalization_that_the_order_says_failed_is_told(client: Client, ca: FakeCa) -> None:
    ca.order_states.extend(["ready", "invalid", "invalid"])
    ca.reply("/finalize", lambda request: ca.problem("orderNotReady", "no", request, status=403))
    with pytest.raises(OrderFailed):
        await issue(client, ["a.example"], solvers=[Recorder()])


async def test_a_certificate_that_replaces_cannot_name_is_renewed_without(client: Client, ca: FakeCa) -> None:
    ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info"
    der = make_leaf(key_id=None)
    pem = x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM)
    ca.reply("/new-order", lambda request: ca.problem("rateLimited", "enough of this test", request))
    with pytest.raises(RateLimited):
        await issue(client, ["a.example"], solvers=[Recorder()], replaces=pem)
    assert "replaces" not in ca.requests[-1].json
    with pytest.raises(InvalidCertificate):
        await issue(client, ["a.example"], solvers=[Recorder()], replaces=b"no certificate")


@pytest.mark.parametrize(
    ("names", "offered", "key_id", "granted"),
    [
        (["leaf.example"], False, b"k", True),
        (["leaf.example", "other.example"], False, b"k", False),
        (["leaf.example", "other.example"], True, b"k", True),
        (["leaf.example", "other.example"], True, None, False),
    ],
)
async def test_a_renewal_is_exempt_from_limits_as_far_as_the_ca_exempts_it(
    client: Client,
    ca: FakeCa,
    time: FakeTime,
    names: list[str],
    *,
    offered: bool,
    key_id: bytes | None,
    granted: bool,
) -> None:
    if offered:
        ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info"
    pem = x509.load_der_x509_certificate(make_leaf(key_id=key_id, subject="leaf.example")).public_bytes(
        serialization.Encoding.PEM
    )
    budget = Budget(LimitProfile(orders_per_account=Limit(1, timedelta(days=30))), clock=time.clock())
    assert budget.reserve(account=client.account_url or "", identifiers=()).granted
    ca.reply("/new-order", lambda request: ca.problem("rateLimited", "enough of this test", request))
    with pytest.raises(RateLimited if granted else BudgetExhausted):
        await issue(client, names, solvers=[Recorder()], replaces=pem, budget=budget)


ORDER = f"{ORIGIN}/order/1"


async def resumed(client: Client, ca: FakeCa, **options: Any) -> list[Event]:
    """Go on with an order, up to the chain of this CA, which is none."""
    events: list[Event] = []
    ca.identifiers = ca.identifiers or [{"type": "dns", "value": "a.example"}]
    with pytest.raises(UnusableCertificate):
        await issue(client, ["a.example"], solvers=[Recorder()], resume=ORDER, on_event=events.append, **options)
    return events


@pytest.mark.parametrize(
    ("states", "answered", "finalized"),
    [
        (["pending", "ready", "valid"], 1, 1),
        (["ready", "valid"], 0, 1),
        (["processing", "processing", "valid"], 0, 0),
        (["valid"], 0, 0),
    ],
)
async def test_an_order_that_was_made_before_is_gone_on_with_from_where_it_is(
    client: Client, ca: FakeCa, states: list[str], answered: int, finalized: int
) -> None:
    ca.order_states.extend(states)
    events = await resumed(client, ca)
    assert isinstance(events[0], OrderResumed)
    assert str(events[0]) == f"Continuing the earlier order, which is {states[0]}: {ORDER}"
    paths = ca.paths()
    assert (paths.count("/new-order"), paths.count("/chall/0"), paths.count("/finalize")) == (0, answered, finalized)


@pytest.mark.parametrize(
    ("seen", "options", "reason"),
    [
        ({"status": "invalid"}, {}, "it is invalid"),
        ({"status": "ready", "expires": "2026-02-28T00:00:00Z"}, {}, "it expired at 2026-02-28T00:00:00Z"),
        ({"status": "valid", "identifiers": [{"type": "dns", "value": "b.example"}]}, {}, "it is for other names"),
        ({"status": "ready", "profile": "short"}, {"profile": "long"}, "it has the profile short"),
        (
            {"status": "ready", "notAfter": "2026-04-01T00:00:00Z"},
            {"not_after": datetime(2026, 5, 1, tzinfo=UTC)},
            "it has another validity period",
        ),
        (None, {}, "404"),
    ],
)
async def test_an_order_that_is_of_no_use_any_more_gives_way_to_a_new_one(
    client: Client, ca: FakeCa, seen: dict[str, Any] | None, options: dict[str, Any], reason: str
) -> None:
    def look(request: Request) -> Response:
        if seen is None and "/new-order" not in ca.paths():
            return ca.problem("malformed", "no such order", request, status=404)
        return ca.json({**ca.order(ca.order_states.popleft()), **(seen or {})})

    ca.meta["profiles"] = {"long": "", "short": ""}
    # One that is gone is asked for as long as a replica might be behind.
    ca.reply("/order/1", *[look] * (20 if seen is None else 1))
    ca.order_states.extend([*([seen["status"]] if seen else []), "ready", "valid"])
    events = await resumed(client, ca, **options)
    assert isinstance(events[0], OrderNotResumed)
    assert events[0].url == ORDER
    assert reason in str(events[0])
    assert ca.paths().count("/new-order") == 1


async def test_a_ca_that_is_in_trouble_is_no_reason_for_another_order(client: Client, ca: FakeCa) -> None:
    # Reading is tried several times.
    ca.reply("/order/1", *[lambda request: ca.problem("rateLimited", "slowly", request, status=429)] * 20)
    with pytest.raises(RateLimited):
        await issue(client, ["a.example"], solvers=[Recorder()], resume=ORDER)
    ca.replies["/order/1"].clear()
    ca.reply("/order/1", *[ConnectionFailed("gone", host="ca.test", request_sent=False)] * 20)
    with pytest.raises(ConnectionFailed):
        await issue(client, ["a.example"], solvers=[Recorder()], resume=ORDER)
    assert "/new-order" not in ca.paths()


async def test_an_order_that_cannot_be_kept_ends_the_issuance_before_anything_is_presented(
    client: Client, ca: FakeCa
) -> None:
    solver = Recorder()

    def keep(event: Event) -> None:
        if isinstance(event, OrderPlaced):
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        await issue(client, ["a.example"], solvers=[solver], on_event=keep)
    assert solver.calls == []
    assert ca.paths()[-1] == "/new-order"
