"""An admission webhook of the cluster that changes what Certwright writes: few writes and orders, and a condition."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from certwright.certificates.secret.annotations import CONTENTS_ANNOTATION
from certwright.certificates.secret.facts import SecretFacts
from certwright.resources import CERTIFICATE_NAME_ANNOTATION, ISSUER_NAME_ANNOTATION
from tests.certificates.bench import Bench

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Mapping

    from tests.fakes.operator import Body, Build, FakeKubeApi

HOURS = 6


class Webhook(Bench):
    """A cluster whose webhook changes every Secret that is applied, and every finalizer that is set."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        super().__init__(build, kube_api, now)
        self.kube_api, self.finalizers_set, self.statuses = kube_api, 0, 0
        self.write()

    def changes_secrets(self, change: Callable[[Body], None]) -> None:
        original = self.cluster.secrets.apply_secret

        async def apply(secret: Mapping[str, Any], *, force: bool) -> Body:
            changed = copy.deepcopy(dict(secret))
            if changed["metadata"]["name"] == "web-tls":
                change(changed)
            return await original(changed, force=force)

        self.cluster.secrets.apply_secret = apply  # type: ignore[method-assign]

    def takes_finalizers(self) -> None:
        async def add(_plural: str, _kind: str, _metadata: Any, _finalizer: str) -> Body:
            self.finalizers_set += 1
            return self.cluster.body

        self.cluster.add_finalizer = add  # type: ignore[method-assign,assignment]

    def counts_statuses(self) -> None:
        original = self.cluster.apply_status

        async def apply(*arguments: Any) -> Body:
            self.statuses += 1
            return await original(*arguments)

        self.cluster.apply_status = apply  # type: ignore[method-assign,assignment]

    @property
    def writes(self) -> int:
        return self.kube_api.calls.count("apply web-tls")


@pytest.fixture
def bench(build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> Webhook:
    return Webhook(build, kube_api, now)


def no_annotations(secret: Body) -> None:
    secret["metadata"]["annotations"] = {}


def no_labels(secret: Body) -> None:
    secret["metadata"]["labels"] = {}


def neither(secret: Body) -> None:
    secret["metadata"] |= {"labels": {}, "annotations": {}}


def other_label(secret: Body) -> None:
    secret["metadata"]["labels"]["certwright.io/managed"] = "no"


def other_annotations(secret: Body) -> None:
    annotations = secret["metadata"]["annotations"]
    secret["metadata"]["annotations"] = {name: f"{value}-changed" for name, value in annotations.items()}


def other_contents(secret: Body) -> None:
    secret["metadata"]["annotations"][CONTENTS_ANNOTATION] = "0" * 16


def other_issuer(secret: Body) -> None:
    secret["metadata"]["annotations"][ISSUER_NAME_ANNOTATION] = "another"


def other_certificate(secret: Body) -> None:
    secret["metadata"]["annotations"][CERTIFICATE_NAME_ANNOTATION] = "another"


def more(secret: Body) -> None:
    secret["metadata"]["labels"]["team"] = "shop"
    secret["metadata"]["annotations"]["scanned"] = "yes"


async def lived_with(bench: Webhook, change: Callable[[Body], None]) -> str:
    """Live for hours with a webhook: one order, few writes, and a condition, whose message is returned."""
    bench.changes_secrets(change)
    bench.counts_statuses()
    await bench.run(HOURS * 3600)
    assert len(bench.ca.orders) == 1
    assert bench.writes <= 9 + HOURS + 1, "some within minutes, then once an hour"
    assert bench.statuses <= 6
    assert bench.condition().status == "True"
    issuing = bench.condition("Issuing")
    assert (issuing.status, issuing.reason) == ("False", "SecretContested")
    assert bench.events.count("SecretContested") <= 2
    return issuing.message


@pytest.mark.parametrize("change", [no_annotations, no_labels, neither, other_label])
async def test_what_a_webhook_takes_from_the_secret_is_not_written_for_ever_and_a_condition_says_so(
    bench: Webhook, change: Callable[[Body], None]
) -> None:
    message = await lived_with(bench, change)
    assert "Secret web-tls has lost labels, annotations or the owner that Certwright wrote" in message


def other_team(secret: Body) -> None:
    secret["metadata"]["labels"]["team"] = "ops"


def no_owner(secret: Body) -> None:
    secret["metadata"].pop("ownerReferences", None)


@pytest.mark.parametrize(("change", "named"), [(other_team, "(team)"), (no_owner, "(ownerReferences)")])
async def test_a_webhook_that_changes_what_the_template_says_is_named_and_costs_few_writes(
    bench: Webhook, change: Callable[[Body], None], named: str
) -> None:
    bench.write(secretTemplate={"labels": {"team": "shop"}}, secretOwnerReference=True)
    message = await lived_with(bench, change)
    assert f"{named} during the write itself: an admission webhook changes them" in message


@pytest.mark.parametrize("change", [neither, other_annotations])
async def test_it_is_right_once_the_webhook_is_gone(bench: Webhook, change: Callable[[Body], None]) -> None:
    bench.changes_secrets(change)
    await bench.run(3600)
    bench.cluster.secrets.apply_secret = type(bench.kube_api).apply_secret.__get__(bench.kube_api)  # type: ignore[method-assign]
    await bench.run(2 * 3600)
    assert (bench.condition().status, bench.condition("Issuing").reason) == ("True", "NothingToDo")
    assert len(bench.ca.orders) == 1


@pytest.mark.parametrize("change", [other_annotations, other_contents, other_issuer, other_certificate, neither])
async def test_a_webhook_that_rewrites_annotations_costs_no_order_and_a_condition_names_it(
    bench: Webhook, change: Callable[[Body], None]
) -> None:
    """They say what the certificate was requested with, so it would seem to be another one each time."""
    message = await lived_with(bench, change)
    assert "certwright.io/" in message
    assert "during the write itself: an admission webhook changes them" in message


@pytest.mark.parametrize("change", [other_annotations, neither])
async def test_a_change_of_the_spec_is_issued_all_the_same(bench: Webhook, change: Callable[[Body], None]) -> None:
    bench.changes_secrets(change)
    await bench.run(3600)
    bench.write("web.example.test", "www.example.test")
    await bench.run(3600)
    assert (len(bench.ca.orders), bench.condition().status) == (2, "True")
    assert len(bench.secret_names) == 1


async def test_the_renewal_comes_when_it_is_due_and_no_earlier(bench: Webhook) -> None:
    bench.write(renewBefore="1900h")
    bench.changes_secrets(other_annotations)
    await bench.run(3600)
    due = bench.status.renewal_time
    assert due is not None
    await bench.run((due - bench.now).total_seconds() - 3600)
    assert len(bench.ca.orders) == 1
    await bench.run(2 * 3600)
    assert (len(bench.ca.orders), bench.condition().status) == (2, "True")


async def test_a_restart_costs_an_order_at_most_and_none_once_the_budget_is_used_up(bench: Webhook) -> None:
    """Only the process that wrote the annotations knows what they were."""
    bench.changes_secrets(other_annotations)
    await bench.run(3600)
    for restarts in range(1, 12):
        bench.restart()
        bench.take_secret(SecretFacts.of(bench.cluster.secrets.secrets["team", "web-tls"]))
        await bench.run(600)
        assert len(bench.ca.orders) <= min(1 + restarts, 10)
    assert bench.condition("Issuing").reason == "OrderedTooOften"


async def test_what_a_webhook_adds_is_left_alone(bench: Webhook) -> None:
    bench.changes_secrets(more)
    await bench.run(HOURS * 3600)
    assert (bench.writes, len(bench.ca.orders), bench.condition().status) == (1, 1, "True")


async def test_a_finalizer_that_a_webhook_takes_is_set_once_for_an_order(bench: Webhook) -> None:
    bench.takes_finalizers()
    bench.counts_statuses()
    await bench.run(HOURS * 3600)
    assert bench.finalizers_set <= 2
    assert bench.statuses <= 4
    assert (bench.condition().status, bench.dns.records) == ("True", set())
