"""The provider `webhook` at an API server that is made up; `tests/integration/test_dns_webhook.py` has real parts."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import DnsError, ProviderRefused, ProviderUnreachable, TxtRecord, UpdatesFailed, Zone, ZoneNotFound
from certwright.dns.hosted.call import RESUME_SECONDS
from certwright.issuers.dns_webhook import DnsWebhook, WebhookConfig
from certwright.kube.errors import Forbidden, Invalid, KubeError, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

A, B, OTHER = (
    TxtRecord("_acme-challenge.a.example.test", "one", "a.example.test"),
    TxtRecord("_acme-challenge.a.example.test", "two", "a.example.test"),
    TxtRecord("_acme-challenge.b.other.test", "three", "b.other.test"),
)


class Api:
    """The webhook behind the API server: keeps values, as many do, by reading and writing all of a name."""

    def __init__(self) -> None:
        self.zones: dict[str, list[str]] = {}
        self.requests: list[Mapping[str, Any]] = []
        self.answers: list[dict[str, Any] | KubeError] = []
        self.known: tuple[str, ...] | None = ("bed",)
        self.why = ""
        self.pause = 0.0
        self.at_once: Counter[str] = Counter()

    async def call(self, group: str, solver: str, request: Mapping[str, Any]) -> dict[str, Any]:
        assert (group, solver) == ("acme.bed.test", "bed")
        self.requests.append(request)
        zone = request["resolvedZone"]
        self.at_once[zone] += 1
        assert self.at_once[zone] == 1
        try:
            return await self._call(request)
        finally:
            self.at_once[zone] -= 1

    async def _call(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, KubeError):
                raise answer
            return answer
        values = list(self.zones.get(request["resolvedFQDN"], ()))
        await asyncio.sleep(self.pause)
        values = [value for value in values if value != request["key"]]
        values += [request["key"]] if request["action"] == "Present" else []
        self.zones[request["resolvedFQDN"]] = values
        return {"uid": "", "success": True}

    async def solvers(self, _group: str) -> tuple[str, ...] | None:
        return self.known

    async def why_unavailable(self, _group: str) -> str:
        return self.why


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def webhook(api: Api, time: Time) -> DnsWebhook:
    async def zone(name: str) -> Zone:
        if name.endswith("nowhere.test"):
            raise ZoneNotFound(f"no zone contains {name}")
        return Zone(".".join(name.split(".")[-2:]))

    config = WebhookConfig("acme.bed.test", "bed", '{"server": "192.0.2.1"}', "shop", ambient=False, api=api)  # type: ignore[arg-type]  # what it calls
    return DnsWebhook(config, zone, monotonic=time)


async def test_a_webhook_is_told_what_cert_manager_would_tell_it(webhook: DnsWebhook, api: Api) -> None:
    await webhook.present([TxtRecord("delegated.example.test", "value", "shop.example")])
    assert api.requests == [
        {
            "uid": "",
            "action": "Present",
            "type": "dns-01",
            "dnsName": "shop.example",
            "key": "value",
            "resourceNamespace": "shop",
            "resolvedFQDN": "delegated.example.test.",
            "resolvedZone": "example.test.",
            "allowAmbientCredentials": False,
            "config": {"server": "192.0.2.1"},
        }
    ]


async def test_a_record_whose_domain_is_not_known_any_more_is_removed_by_its_name(
    webhook: DnsWebhook, api: Api
) -> None:
    await webhook.clean_up([TxtRecord(A.name, "one")])
    assert [(one["action"], one["dnsName"]) for one in api.requests] == [("CleanUp", "a.example.test")]


async def test_the_values_of_one_zone_go_one_after_the_other_and_none_is_lost(webhook: DnsWebhook, api: Api) -> None:
    api.pause = 0.001
    await asyncio.gather(webhook.present([A, B, OTHER]), webhook.present([TxtRecord(A.name, "four", A.domain)]))
    assert {name: sorted(values) for name, values in api.zones.items()} == {
        f"{A.name}.": ["four", "one", "two"],
        f"{OTHER.name}.": ["three"],
    }
    await webhook.clean_up([B])
    assert sorted(api.zones[f"{A.name}."]) == ["four", "one"]


async def test_what_was_added_before_a_call_was_ended_is_not_asked_for_again(
    webhook: DnsWebhook, api: Api, time: Time
) -> None:
    api.answers = [{"success": True}, Unavailable("call", status=504), {"success": True}]
    with pytest.raises(ProviderUnreachable) as failed:
        await webhook.present([A, B])
    assert failed.value.names == (B.name,)
    await webhook.present([A, B])
    assert [one["key"] for one in api.requests] == ["one", "two", "two"]
    # All of it was done: the next order, or a repeated one, asks again.
    await webhook.present([A])
    assert [one["key"] for one in api.requests][3:] == ["one"]
    api.answers = [{"success": True}, Unavailable("call", status=504)]
    with pytest.raises(ProviderUnreachable):
        await webhook.present([A, B])
    time.now += RESUME_SECONDS
    api.requests.clear()
    await webhook.present([A, B])
    assert [one["key"] for one in api.requests] == ["one", "two"]


async def test_what_was_removed_is_added_again(webhook: DnsWebhook, api: Api) -> None:
    api.answers = [{"success": True}, Unavailable("call", status=504)]
    with pytest.raises(ProviderUnreachable):
        await webhook.present([A, B])
    await webhook.clean_up([A, B])
    api.requests.clear()
    await webhook.present([A])
    assert [one["key"] for one in api.requests] == ["one"]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (
            Forbidden("call", status=403),
            ProviderRefused,
            (
                "the operator may not call the DNS webhook bed.acme.bed.test: it lacks permission to create bed in the "
                "API group acme.bed.test, or there is no such group. With the Helm chart, list the webhook in "
                "dns01.webhooks"
            ),
        ),
        (
            NotFound("call", status=404),
            ProviderRefused,
            "the DNS webhook acme.bed.test has no solver bed; it has hetzner, ovh",
        ),
        (
            Invalid("call", status=400, message='no kind "ChallengePayload"'),
            ProviderRefused,
            'the DNS webhook bed.acme.bed.test does not understand the request: no kind "ChallengePayload"',
        ),
        (
            Unavailable("call", status=503),
            ProviderUnreachable,
            "the DNS webhook bed.acme.bed.test cannot be reached by the API server: MissingEndpoints: no endpoints",
        ),
        (
            {"success": False, "status": {"message": "zone not found"}},
            ProviderRefused,
            "the DNS webhook bed.acme.bed.test did not do it: zone not found",
        ),
        ({"success": "true"}, ProviderRefused, "the DNS webhook bed.acme.bed.test did not do it: it does not say why"),
        ({}, ProviderRefused, "the DNS webhook bed.acme.bed.test did not do it: it does not say why"),
        (
            {"success": False, "status": ["x"]},
            ProviderRefused,
            "the DNS webhook bed.acme.bed.test did not do it: it does not say why",
        ),
    ],
)
async def test_why_it_was_not_done_is_told(
    webhook: DnsWebhook, api: Api, answer: dict[str, Any] | KubeError, kind: type[DnsError], said: str
) -> None:
    api.known, api.why = ("hetzner", "ovh"), "MissingEndpoints: no endpoints"
    api.answers = [answer]
    with pytest.raises(kind) as failed:
        await webhook.present([A])
    assert (str(failed.value), failed.value.names) == (said, (A.name,))


async def test_a_group_that_nobody_serves_is_told(webhook: DnsWebhook, api: Api) -> None:
    api.known = None
    api.answers = [NotFound("call", status=404)]
    with pytest.raises(ProviderRefused, match=r"has no DNS webhook acme[.]bed[.]test: there is no APIService"):
        await webhook.present([A])


async def test_an_api_server_that_says_nothing_more_is_told_by_its_status(webhook: DnsWebhook, api: Api) -> None:
    for error, said in ((Unavailable("call", status=504), "HTTP 504"), (Unavailable("call"), "no answer")):
        api.answers = [error]
        with pytest.raises(ProviderUnreachable, match=rf"by the API server \({said}\)"):
            await webhook.present([A])


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Get https://api.example/v1/zones?token=s3cr3t: timeout", "Get https://api.example/v1/zones?… timeout"),
        ("dial https://user:pass@dns.example/x refused", "dial https://…dns.example/x refused"),
        ("invalid token 4f1c9d2e8ab34c7d9e0f1a2b", "invalid token …"),
        ("the zone\nexample.test \x1b[31mis not\u202e there", "the zone example.test [31mis not there"),
        ("x" * 9000, f"{'x' * 199}…"),
    ],
)
async def test_a_webhooks_words_show_no_credential_and_are_one_short_line(
    webhook: DnsWebhook, api: Api, message: str, shown: str
) -> None:
    api.answers = [{"success": False, "status": {"message": message}}]
    with pytest.raises(ProviderRefused) as failed:
        await webhook.present([A])
    assert str(failed.value) == f"the DNS webhook bed.acme.bed.test did not do it: {shown}"


async def test_a_zone_that_fails_does_not_keep_the_others_from_theirs(webhook: DnsWebhook, api: Api) -> None:
    nowhere = TxtRecord("_acme-challenge.nowhere.test", "five", "nowhere.test")
    api.answers = [{"success": False, "status": {"message": "no"}}]
    with pytest.raises(UpdatesFailed) as failed:
        await webhook.present([nowhere, A, B, OTHER])
    assert failed.value.names == (A.name, nowhere.name)
    assert api.zones == {f"{B.name}.": ["two"], f"{OTHER.name}.": ["three"]}


async def test_a_webhook_that_cannot_be_reached_is_not_called_for_each_value(webhook: DnsWebhook, api: Api) -> None:
    api.answers = [Unavailable("call", status=504)]
    with pytest.raises(ProviderUnreachable):
        await webhook.present([TxtRecord(A.name, f"value-{number}", A.domain) for number in range(100)])
    assert len(api.requests) == 1


async def test_every_record_that_was_not_reached_is_named(webhook: DnsWebhook, api: Api) -> None:
    more = TxtRecord("_acme-challenge.c.example.test", "six", "c.example.test")
    api.answers = [{"success": True}, Unavailable("call", status=504)]
    with pytest.raises(ProviderUnreachable) as failed:
        await webhook.present([TxtRecord("_acme-challenge.d.example.test", "seven"), A, more])
    assert failed.value.names == (A.name, more.name)


async def test_a_zone_that_is_slow_leaves_room_for_the_others(webhook: DnsWebhook, api: Api) -> None:
    stuck, called = asyncio.Event(), api._call

    async def slow(request: Mapping[str, Any]) -> dict[str, Any]:
        if request["resolvedZone"] == "example.test.":
            await stuck.wait()
        return await called(request)

    api._call = slow  # type: ignore[method-assign]
    waiting = [
        asyncio.create_task(webhook.present([TxtRecord(A.name, f"value-{number}", A.domain)])) for number in range(10)
    ]
    async with asyncio.timeout(5):
        await webhook.present([OTHER])
    assert len(webhook._zones) == 1, "of zones that nobody waits for, nothing is kept"
    stuck.set()
    await asyncio.gather(*waiting)
    del waiting
    assert len(api.zones[f"{A.name}."]) == 10
    assert len(webhook._zones) == 0
