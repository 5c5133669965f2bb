from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest

from certwright.kube.errors import Forbidden, NotFound, Unavailable
from certwright.kube.events import MAX_MESSAGE_CHARACTERS, MAX_WAITING, EventRecorder, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.reasons import Reason

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class Posts:
    """Stands in for the API server."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, Mapping[str, Any]]] = []
        self.error: Exception | None = None
        self.hangs = False

    async def create_event(self, namespace: str, event: Mapping[str, Any]) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        self.posted.append((namespace, event))


@pytest.fixture
def posts() -> Posts:
    return Posts()


@pytest.fixture
def recorder(posts: Posts) -> EventRecorder:
    return EventRecorder(posts, drain_seconds=60)  # type: ignore[arg-type]  # the one method it needs


def subject(name: str = "web", namespace: str = "shop") -> Subject:
    return Subject("certwright.io/v1", "Certificate", namespace, name, "u-1", "7")


async def test_an_event_is_what_kubectl_describe_looks_for(posts: Posts, recorder: EventRecorder) -> None:
    recorder.record(subject(), "Warning", "DNSFailed", "the zone is away")
    await recorder.drain()
    [(namespace, event)] = posts.posted
    assert namespace == event["metadata"]["namespace"] == "shop"
    assert event["involvedObject"] == {
        "apiVersion": "certwright.io/v1",
        "kind": "Certificate",
        "namespace": "shop",
        "name": "web",
        "uid": "u-1",
        "resourceVersion": "7",
    }
    said = {name: event[name] for name in ("apiVersion", "kind", "type", "reason", "message", "action", "count")}
    assert said == {
        "apiVersion": "v1",
        "kind": "Event",
        "type": "Warning",
        "reason": "DNSFailed",
        "message": "the zone is away",
        "action": "Reconcile",
        "count": 1,
    }
    assert event["source"] == {"component": "certwright"}
    assert event["reportingComponent"] == event["reportingInstance"] == "certwright"
    assert event["firstTimestamp"] == event["lastTimestamp"]
    age = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(event["eventTime"])
    assert dt.timedelta(0) <= age < dt.timedelta(minutes=1)


async def test_events_about_cluster_scoped_objects_go_where_the_api_server_takes_them(
    posts: Posts, recorder: EventRecorder
) -> None:
    recorder.record(subject(namespace=""), "Normal", "AccountRegistered", "ready")
    await recorder.drain()
    [(namespace, event)] = posts.posted
    assert namespace == "default"
    assert event["involvedObject"]["namespace"] is None


@pytest.mark.parametrize("name", ["a", "a" * 253, "a" * 229 + ".b", "a" * 228 + "-.b", "x" * 225 + "." + "y" * 27])
async def test_the_name_is_valid_and_its_own(posts: Posts, recorder: EventRecorder, name: str) -> None:
    for _ in range(2):
        recorder.record(subject(name), "Normal", "Issued", "")
    await recorder.drain()
    names = [event["metadata"]["name"] for _, event in posts.posted]
    assert len(set(names)) == 2
    for made in names:
        assert len(made) <= 253
        assert SUBDOMAIN.fullmatch(made)


async def test_a_long_message_is_cut(posts: Posts, recorder: EventRecorder) -> None:
    recorder.record(subject(), "Warning", "OrderFailed", "m" * 5000)
    await recorder.drain()
    assert posts.posted[0][1]["message"] == "m" * MAX_MESSAGE_CHARACTERS


async def test_events_are_posted_in_the_background_in_order(posts: Posts, recorder: EventRecorder) -> None:
    task = asyncio.create_task(recorder.run())
    reasons: tuple[Reason, ...] = ("Issuing", "Adopted", "Issued")
    for reason in reasons:
        recorder.record(subject(), "Normal", reason, "")
    while len(posts.posted) < 3:  # noqa: ASYNC110 - nothing tells when it is done
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [event["reason"] for _, event in posts.posted] == list(reasons)


async def test_what_went_well_is_in_the_log_and_what_did_not_is_left_to_those_who_log_it(
    recorder: EventRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    recorder.record(subject(), "Normal", "Issued", "It is in Secret web-tls.")
    recorder.record(subject(namespace=""), "Normal", "AccountRegistered", "The account is ready.")
    recorder.record(subject(), "Warning", "TSIGRejected", "another secret")
    assert [record.message for record in caplog.records] == [
        "Certificate shop/web: Issued: It is in Secret web-tls.",
        "Certificate web: AccountRegistered: The account is ready.",
    ]
    await recorder.drain()


async def test_the_queue_is_bounded_and_says_what_it_drops(
    posts: Posts, recorder: EventRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(MAX_WAITING):
        recorder.record(subject(), "Normal", "Issuing", "")
    recorder.record(subject(), "Normal", "Issued", "")
    assert [record.message for record in caplog.records if record.levelno > logging.INFO] == [
        f"Event dropped, {MAX_WAITING} are waiting: Issued web"
    ]
    await recorder.drain()
    assert len(posts.posted) == MAX_WAITING


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            Unavailable("post it", status=503),
            (logging.WARNING, "an Event is lost (Issued): could not post it: HTTP 503"),
        ),
        (Forbidden("post it", status=403), (logging.WARNING, "an Event is lost (Issued): could not post it: HTTP 403")),
        (
            Forbidden("post it", status=403, message="no: because it is being terminated"),
            (
                logging.DEBUG,
                "an Event is lost (Issued): could not post it: HTTP 403: no: because it is being terminated",
            ),
        ),
        (NotFound("post it", status=404), (logging.DEBUG, "the namespace shop of an Event is gone")),
    ],
)
async def test_a_lost_event_is_in_nobodys_way(
    posts: Posts, recorder: EventRecorder, caplog: pytest.LogCaptureFixture, error: Exception, said: tuple[int, str]
) -> None:
    caplog.set_level(logging.DEBUG)
    posts.error = error
    recorder.record(subject(), "Normal", "Issued", "")
    await recorder.drain()
    posts.error = None
    recorder.record(subject(), "Normal", "Issued", "again")
    await recorder.drain()
    ours = [
        record
        for record in caplog.records
        if record.name == "certwright.kube.events" and record.levelno != logging.INFO
    ]
    assert [(record.levelno, record.message) for record in ours] == [said]
    assert len(posts.posted) == 1


async def test_the_way_out_is_not_blocked_by_a_server_that_does_not_answer(
    posts: Posts, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = EventRecorder(posts, drain_seconds=0.1)  # type: ignore[arg-type]  # as above
    posts.hangs = True
    for _ in range(3):
        recorder.record(subject(), "Normal", "Issued", "")
    async with asyncio.timeout(60):
        await recorder.drain()
    assert "3 or more Events are lost: there was no time to post them" in caplog.text
