"""Objects that are stored and yet cannot be read: their owners are told, once."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from unittest.mock import AsyncMock, Mock

import pytest

from certwright.handlers.invalid import InvalidObject, tell
from certwright.kube.errors import NotFound
from certwright.kube.resource import CERTIFICATES
from certwright.resources import FINALIZER, InvalidResource

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
ERROR = InvalidResource("Certificate shop/web", ("spec.dnsNames: is odd", "spec.duration: is short"))
MESSAGE = "spec.dnsNames: is odd; spec.duration: is short. Certwright ignores it until it is corrected."

Body = dict[str, Any]


@pytest.fixture
def kube_api() -> Mock:
    return Mock(apply_status=AsyncMock(), remove_finalizer=AsyncMock())


@pytest.fixture
def recorder() -> Mock:
    return Mock()


async def told(body: Body, kube_api: Mock, recorder: Mock) -> None:
    await tell(CERTIFICATES, InvalidObject.of(body, ERROR), kube_api=kube_api, recorder=recorder, now=NOW)


async def test_the_condition_and_an_event_say_what_is_wrong(
    certificate: Callable[..., Body], kube_api: Mock, recorder: Mock
) -> None:
    order = {"url": "https://ca.example/order/1"}
    issuing = {"type": "Issuing", "status": "True"}
    body = {**certificate(), "status": {"revision": 3, "order": order, "conditions": [issuing]}}
    await told(body, kube_api, recorder)
    plural, kind, metadata, status = kube_api.apply_status.await_args.args
    assert (plural, kind, metadata["uid"]) == ("certificates", "Certificate", "uid-web")
    assert (status["revision"], status["order"]) == (3, order)
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "InvalidSpec",
        "message": MESSAGE,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-06-01T12:00:00Z",
    }
    assert status["conditions"] == [issuing, ready]
    assert recorder.record.call_args.args[1:] == ("Warning", "InvalidSpec", MESSAGE)
    # The watch brings our own write back: no news, or it would go on without end.
    kube_api.reset_mock()
    recorder.reset_mock()
    await told({**body, "status": status}, kube_api, recorder)
    kube_api.apply_status.assert_not_awaited()
    recorder.record.assert_not_called()


async def test_the_time_of_an_earlier_failure_stays(
    certificate: Callable[..., Body], kube_api: Mock, recorder: Mock
) -> None:
    since = "2026-05-01T00:00:00Z"
    before = {"type": "Ready", "status": "False", "reason": "Other", "lastTransitionTime": since}
    await told({**certificate(), "status": {"conditions": [before]}}, kube_api, recorder)
    (ready,) = kube_api.apply_status.await_args.args[3]["conditions"]
    assert (ready["reason"], ready["lastTransitionTime"]) == ("InvalidSpec", since)


@pytest.mark.parametrize(
    ("finalizers", "released"), [([FINALIZER, "other/one"], True), (["other/one"], False), ([], False)]
)
async def test_it_holds_up_no_deletion(
    certificate: Callable[..., Body], kube_api: Mock, recorder: Mock, *, finalizers: list[str], released: bool
) -> None:
    body = certificate(deletionTimestamp="2026-06-01T11:59:00Z", finalizers=finalizers)
    await told(body, kube_api, recorder)
    assert kube_api.remove_finalizer.await_count == released
    kube_api.apply_status.assert_not_awaited()


async def test_one_that_is_gone_meanwhile_is_no_error(
    certificate: Callable[..., Body], kube_api: Mock, recorder: Mock
) -> None:
    kube_api.apply_status.side_effect = NotFound("write the status", status=404)
    await told(certificate(), kube_api, recorder)
