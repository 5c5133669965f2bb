"""`plan` against a model of the world, in whatever order things happen and fail: it keeps its promises and settles."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from certwright import dns
from certwright.certificates.failed_step import abandon_order, after_failure
from certwright.certificates.need import issuance_need
from certwright.certificates.order.responses import presented_responses
from certwright.certificates.plan import CLEAN_UP_PATIENCE, plan
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.status import last_note, report
from certwright.certificates.steps.adopt import Adopt
from certwright.certificates.steps.answer_challenges import AnswerChallenges
from certwright.certificates.steps.clean_up import CleanUp, without_responses
from certwright.certificates.steps.finalize import Finalize
from certwright.certificates.steps.poll_order import PollOrder
from certwright.certificates.steps.present import Present
from certwright.certificates.steps.record_failure import RecordFailure
from certwright.certificates.steps.release import Release
from certwright.certificates.steps.resting import AwaitIssuer, Forget, Park, Refuse, Settle, Sleep
from certwright.certificates.steps.resume_order import ResumeOrder
from certwright.certificates.steps.self_check import SelfCheck
from certwright.certificates.steps.start_order import StartOrder
from certwright.certificates.steps.step import Rest
from certwright.certificates.steps.store_certificate import StoreCertificate
from certwright.failures import IssuanceError, classify
from certwright.issuers.registry import IssuerView
from certwright.resources import FINALIZER
from certwright.runtime.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from certwright.certificates.observation import Observation
    from certwright.certificates.open_order import OpenOrder
    from certwright.certificates.order_request import OrderRequest
    from certwright.certificates.steps.step import Step
    from certwright.certificates.tools import Tools
    from certwright.challenges.response import ChallengeResponse
    from certwright.resources import Certificate, CertificateStatus, OrderStatus
    from tests.fakes.operator import Build, OrderState

NAMES = (("a.example.test",), ("a.example.test", "*.a.example.test"))
ALIVE = {"pending", "ready", "processing", "valid"}
MOST_STEPS = 60
SILENCE = dns.NameserverUnreachable("127.0.0.1:53", "silence")


class World(RuleBasedStateMachine):
    """The API server keeps `saved`; the operator's draft and memory are lost at a restart, the rest is outside."""

    def __init__(self, build: Build, now: dt.datetime) -> None:
        super().__init__()
        self.build = build
        self.now = now
        self.names: tuple[str, ...] = NAMES[0]
        self.metadata: dict[str, Any] = {"generation": 1, "finalizers": []}
        self.saved: CertificateStatus = build.certificate().status
        self.account = "https://ca.example.test/account/1"
        self.issuer = IssuerView("ready")
        self.secret: SecretFacts | None = None
        self.ca_orders: dict[str, OrderState] = {}
        self.in_dns: set[ChallengeResponse] = set()
        self.left_behind: set[ChallengeResponse] = set()
        self.last: Step | None = None
        self.broken: type[Step] | None = None
        self.breaks_half_way = False
        self.tools = cast(
            "Tools",
            SimpleNamespace(
                clock=lambda: self.now,
                number=lambda: 1,
                metrics=SimpleNamespace(failed=lambda _: None),
                recorder=SimpleNamespace(record=lambda *_: None),
            ),
        )
        self.observation: Observation
        self.restart()

    # What the operator has at hand

    @property
    def certificate(self) -> Certificate:
        return self.build.certificate(*self.names, metadata=self.metadata)

    def refresh(self) -> None:
        """Take in what changed outside, as every pass of the reconciler does."""
        ready = self.issuer.state == "ready"
        self.observation = replace(
            self.observation.with_certificate(self.certificate),
            issuer_view=self.issuer,
            request=self.build.request(self.certificate, self.account) if ready else None,
            memory=self.observation.memory.for_generation(self.metadata["generation"]),
        ).with_secret(self.secret)

    def save(self) -> None:
        self.saved = report(self.observation, self.now)
        self.observation = replace(self.observation, status=self.saved)

    def something_happens(self) -> None:
        """The same step may well be right again."""
        self.last = None

    # What may happen at any time

    @rule()
    def restart(self) -> None:
        note, generation = last_note(self.saved), self.saved.observed_generation or 0
        self.observation = self.build.observation(
            self.certificate,
            status=self.saved,
            secret=self.secret,
            issuer_view=self.issuer,
            request=None,
            note=note,
            generation=generation,
        )
        self.last = None

    @rule(seconds=st.sampled_from([1, 10, 300, 7200, 30 * 86400]))
    def time_passes(self, seconds: int) -> None:
        self.something_happens()
        self.now += dt.timedelta(seconds=seconds)

    @rule(state=st.sampled_from(["unknown", "missing", "not-ready", "ready", "ready"]))
    def issuer_becomes(self, state: Any) -> None:
        self.something_happens()
        if state == "unknown":
            self.restart()
        self.issuer = IssuerView(state, "why")
        self.observation = replace(self.observation, memory=self.observation.memory.for_changed_issuer())

    @rule()
    def account_is_registered_anew(self) -> None:
        self.something_happens()
        self.account = f"{self.account}1"

    @rule(names=st.sampled_from(NAMES))
    def spec_changes(self, names: tuple[str, ...]) -> None:
        self.something_happens()
        self.names = names
        self.metadata = {**self.metadata, "generation": self.metadata["generation"] + 1}

    @rule(secret=st.sampled_from(["gone", "matching", "strange", "adoptable"]))
    def somebody_changes_the_secret(self, secret: str) -> None:
        self.something_happens()
        made: dict[str, Callable[[], SecretFacts | None]] = {
            "gone": lambda: None,
            "matching": lambda: self.build.facts(self.certificate, not_before=self.now),
            "strange": lambda: SecretFacts.of(self.build.strange_secret(type="Opaque")),
            "adoptable": lambda: SecretFacts.of(self.build.strange_secret(sorted(self.names))),
        }
        self.secret = made[secret]()

    @precondition(lambda self: "deletionTimestamp" not in self.metadata)
    @rule(sure=st.sampled_from([False, False, False, True]))
    def user_deletes(self, *, sure: bool) -> None:
        if sure:
            self.metadata = {**self.metadata, "deletionTimestamp": self.now}

    @rule(state=st.sampled_from(["ready", "valid", "invalid", "forgotten"]))
    def ca_decides(self, state: Any) -> None:
        self.something_happens()
        for url, known in list(self.ca_orders.items()):
            if state == "forgotten":
                del self.ca_orders[url]
            elif known == "processing" or (known == "pending" and state == "invalid"):
                self.ca_orders[url] = "invalid" if state == "invalid" else "valid"

    @rule(
        step=st.sampled_from([None, Present, SelfCheck, StoreCertificate, CleanUp, CleanUp, Release, Adopt]),
        half_way=st.booleans(),
    )
    def something_breaks_for_good(self, step: type[Step] | None, *, half_way: bool) -> None:
        self.broken = step
        self.breaks_half_way = half_way

    # What the operator does

    @rule(
        steps=st.integers(0, 12),
        luck=st.sampled_from(["good", "transient", "transient", "attempt", "crash"]),
        odds=st.sets(st.sampled_from(["unseen", "refused", "slow", "partly"]), max_size=2),
        patient=st.booleans(),
    )
    def operator_acts(self, steps: int, luck: str, odds: set[str], *, patient: bool) -> None:
        """Some steps go well, the one after them may not."""
        for _ in range(steps):
            step = self.act(odds=odds)
            if patient and isinstance(step, Sleep):
                self.now = step.until
        self.act(luck, odds)

    def act(self, luck: str = "good", odds: Collection[str] = ()) -> Step:
        self.refresh()
        step = plan(self.observation, self.now)
        assert step == plan(self.observation, self.now), "the same observation, another step"
        assert self.last is None or step != self.last or luck != "good", f"{step} made no progress"
        if isinstance(step, Rest):
            self.rest(step)
            return step
        kept = None if self.secret is None else self.secret.leaf
        error: Exception | None = None
        if luck == "transient" or type(step) is self.broken:
            luck, error = "transient", SILENCE
            odds = {"partly"} if type(step) is self.broken and self.breaks_half_way else odds
        elif luck == "attempt" and isinstance(step, StartOrder | StoreCertificate | ResumeOrder):
            error = IssuanceError("CARefused", "The CA says no.", costly=True)
        try:
            self.perform(step, error, odds)
        except (IssuanceError, dns.DnsError) as raised:
            self.observation = after_failure(self.observation, self.tools, step, classify(raised, self.now))
            assert plan(self.observation, self.now) != step, f"{step} failed and is tried again at once"
        now_there = None if self.secret is None else self.secret.leaf
        assert now_there == kept or isinstance(step, StoreCertificate), "the last good certificate was lost"
        self.last = step if luck == "good" else None
        if luck == "crash":
            self.restart()
        return step

    def rest(self, step: Rest) -> None:
        self.last = None
        match step:
            case Sleep(until):
                assert until > self.now
            case Settle(renew_at):
                assert renew_at is not None
                assert renew_at > self.now
            case Forget():
                assert FINALIZER not in self.metadata["finalizers"]
        if not step.is_silent:
            self.observation = step.rest(self.observation, self.tools)
            self.save()

    def perform(self, step: Step, failing: Exception | None, odds: Collection[str]) -> None:
        done: dict[type[Step], Any] = {
            StartOrder: self.start,
            ResumeOrder: self.resume,
            Present: self.present,
            SelfCheck: self.check,
            AnswerChallenges: self.answer,
            PollOrder: self.poll,
            Finalize: self.finalize,
            StoreCertificate: self.store,
            RecordFailure: self.record_failure,
            CleanUp: partial(self.clean_up, cast("CleanUp", step)),
            Adopt: self.adopt,
            Release: self.release,
        }
        cast("Callable[..., None]", done[type(step)])(failing, odds)

    @property
    def request(self) -> OrderRequest:
        assert self.observation.request is not None
        return self.observation.request

    @property
    def open_order(self) -> OpenOrder:
        return self.observation.open_order

    def change(self, **changes: Any) -> None:
        self.observation = self.observation.with_open_order(**changes)

    def start(self, failing: Exception | None, odds: Collection[str]) -> None:
        known = self.observation.status.order
        alive = known is not None and self.ca_orders.get(known.url or "") in ALIVE
        assert known is None or not (alive and known.spec_hash == self.request.fingerprint and known.state != "invalid")
        assert not presented_responses(self.observation.status), "records would be forgotten"
        self.assert_needed()
        if failing is not None and "partly" not in odds:
            raise failing
        url = f"https://ca.example.test/order/{len(self.ca_orders) + 1}-{self.now.timestamp():.0f}"
        self.ca_orders[url] = "pending"
        order = self.build.order_status(
            self.certificate, url=url, account_url=self.account, spec_hash=self.request.fingerprint
        )
        if failing is not None:  # the order is there, and what it asks for is not known yet
            self.observation = self.observation.with_status(order=order.replace(authorizations=()))
            raise failing
        self.write_down(order)
        self.observation = self.observation.remember(
            open_order=self.build.open_order(names=self.names, next_look=self.now)
        )

    def resume(self, failing: Exception | None, odds: Collection[str]) -> None:
        del odds
        known = self.observation.status.order
        assert known is not None
        if failing is not None:
            raise failing
        state = self.ca_orders.get(known.url or "")
        if state is None:
            self.observation = abandon_order(self.observation)
            return
        if state == "pending" and not known.authorizations:
            names = self.build.order_status(self.certificate).authorizations
            self.write_down(known.replace(authorizations=names))
        self.observation = self.observation.remember(
            open_order=self.build.open_order(state, self.names, next_look=self.now)
        )

    def write_down(self, order: OrderStatus) -> None:
        self.metadata = {**self.metadata, "finalizers": [FINALIZER]}
        self.observation = self.observation.with_certificate(self.certificate).with_status(order=order)
        self.save()

    def present(self, failing: Exception | None, odds: Collection[str]) -> None:
        outside = presented_responses(self.saved)
        for name, record in self.open_order.responses.items():
            assert outside.get(name) == record, "presented before it was written down"
            if failing is None or "partly" in odds:
                self.in_dns.add(record)
        assert FINALIZER in self.metadata["finalizers"]
        if failing is not None:
            raise failing
        self.change(presented_at=self.now)

    def check(self, failing: Exception | None, odds: Collection[str]) -> None:
        if failing is not None:
            raise failing
        unseen = "unseen" in odds
        self.change(propagated=not unseen, next_look=self.now + dt.timedelta(seconds=1 if unseen else 0))

    def answer(self, failing: Exception | None, odds: Collection[str]) -> None:
        assert self.open_order.propagated
        assert set(self.open_order.responses.values()) <= self.in_dns
        if failing is not None:
            raise failing
        self.at_the_ca("invalid" if "refused" in odds else "ready")
        self.change(challenges={}, next_look=self.now + dt.timedelta(seconds=1))

    def poll(self, failing: Exception | None, odds: Collection[str]) -> None:
        assert self.now >= self.open_order.next_look
        if failing is not None:
            raise failing
        known = self.observation.status.order
        assert known is not None
        state = self.ca_orders.get(known.url or "")
        if state is None:
            self.observation = abandon_order(self.observation.remember(open_order=None))
            return
        if state == "processing" and "slow" not in odds:
            state = self.ca_orders[known.url or ""] = "valid"
        self.change(order=self.build.order(state, self.names), next_look=self.now + dt.timedelta(seconds=1))

    def finalize(self, failing: Exception | None, odds: Collection[str]) -> None:
        assert self.open_order.order.status == "ready"
        if failing is not None:
            raise failing
        state: OrderState = "processing" if "slow" in odds else "valid"
        self.at_the_ca(state)
        order, next_look = self.build.order(state, self.names), self.now + dt.timedelta(seconds=1)
        self.change(order=order, finalized=True, next_look=next_look)

    def store(self, failing: Exception | None, odds: Collection[str]) -> None:
        del odds
        assert self.open_order.order.status == "valid"
        self.assert_needed()
        if failing is not None:
            raise failing
        self.secret = self.build.facts(self.certificate, not_before=self.now)
        self.observation = self.observation.with_secret(self.secret).remember(note=None, issuing=Backoff())
        self.observation = self.observation.with_status(
            revision=self.observation.status.revision + 1, failed_attempts=0, next_attempt_time=None
        )

    def record_failure(self, failing: Exception | None, odds: Collection[str]) -> None:
        del odds
        assert self.open_order.order.status == "invalid"
        raise failing or IssuanceError("ValidationFailed", "It is not visible.", costly=True)

    def clean_up(self, step: CleanUp, failing: Exception | None, odds: Collection[str]) -> None:
        gone = set(presented_responses(self.observation.status).values())
        if failing is not None and "partly" in odds:  # the records go, the pending key does not
            self.in_dns -= gone
            self.observation = without_responses(self.observation, keep_url=step.keep_order)
            raise failing
        if failing is not None and not step.last_try:
            raise failing
        if failing is None:
            self.in_dns -= gone
        else:
            self.left_behind |= gone
        self.observation = without_responses(self.observation, keep_url=step.keep_order)
        if not step.keep_order:
            self.observation = self.observation.with_status(order=None).remember(open_order=None)
        self.observation = self.observation.remember(cleaning_up=Backoff())

    def adopt(self, failing: Exception | None, odds: Collection[str]) -> None:
        del odds
        assert self.secret is not None
        if failing is not None:
            raise failing
        leaf = self.secret.leaf
        made = self.build.facts(self.certificate)
        self.secret = SecretFacts(**{**vars(made), "leaf": leaf, "certificate": self.secret.certificate})
        self.observation = self.observation.remember(cleaning_up=Backoff())

    def release(self, failing: Exception | None, odds: Collection[str]) -> None:
        del odds
        deleted = self.metadata.get("deletionTimestamp")
        if deleted is None or self.now < deleted + CLEAN_UP_PATIENCE:
            assert not presented_responses(self.observation.status)
        else:
            self.left_behind |= set(presented_responses(self.observation.status).values())
        if failing is not None:
            raise failing
        self.metadata = {**self.metadata, "finalizers": []}
        self.observation = self.observation.remember(cleaning_up=Backoff())

    def at_the_ca(self, state: OrderState) -> None:
        known = self.observation.status.order
        assert known is not None
        if known.url in self.ca_orders:
            self.ca_orders[known.url] = state

    def assert_needed(self) -> None:
        need = issuance_need(self.observation, self.now)
        assert need is not None, "a matching Secret is issued anew"
        assert need.refusal is None

    @invariant()
    def no_record_is_forgotten(self) -> None:
        assert self.in_dns - self.left_behind <= set(presented_responses(self.saved).values())

    def teardown(self) -> None:
        """When nothing stands in the way any more, all comes to rest soon, with a certificate and nothing outside."""
        self.issuer, self.broken = IssuerView("ready"), None
        if self.secret is not None and self.secret.certificate_name is None:
            self.secret = None
        for _ in range(MOST_STEPS):
            step = self.act()
            if isinstance(step, Settle | Forget):
                break
            assert not isinstance(step, AwaitIssuer | Park | Refuse), step
            if isinstance(step, Sleep):
                self.now = step.until
        else:
            raise AssertionError(f"no rest after {MOST_STEPS} steps: {step}")
        assert self.in_dns <= self.left_behind
        assert FINALIZER not in self.metadata["finalizers"]
        assert isinstance(step, Settle) == ("deletionTimestamp" not in self.metadata)


def test_whatever_happens_the_promises_are_kept(build: Build, now: dt.datetime) -> None:
    run_state_machine_as_test(
        cast("type[World]", partial(World, build, now)),
        settings=settings(max_examples=100, stateful_step_count=30, deadline=None),
    )
