"""The serving certificates of DNS webhooks and the bundles they are checked with."""

from __future__ import annotations

import asyncio
import base64
import copy
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from certwright.issuers.dns_webhook_serving import RENEW_BEFORE, ServedWebhook, WebhookServing
from certwright.kube.errors import Conflict, Unavailable
from certwright.pki.serving import LIFETIME

if TYPE_CHECKING:
    from collections.abc import Mapping

WEBHOOK = ServedWebhook.parse("acme.bed.test=hooks/bed-webhook/bed-webhook-tls")
NAME = "bed-webhook.hooks.svc"


class Cluster:
    """The API server: one Secret, one APIService."""

    def __init__(self) -> None:
        self.secret: dict[str, Any] | None = None
        self.service: dict[str, Any] | None = {
            "metadata": {"uid": "1", "resourceVersion": "1"},
            "spec": {"group": "acme.bed.test", "service": {"namespace": "hooks", "name": "bed-webhook", "port": 443}},
        }
        self.writes: list[str] = []
        self.refuses = False
        self.done = asyncio.Event()

    async def read_secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        assert (namespace, name) == ("hooks", "bed-webhook-tls")
        return copy.deepcopy(self.secret)

    async def apply_secret(self, secret: Mapping[str, Any], *, force: bool) -> None:
        assert force == (self.secret is not None)
        self.writes.append("Secret")
        self.done.set()
        self.secret = copy.deepcopy({**secret, "metadata": {**secret["metadata"], "resourceVersion": "7"}})

    async def api_service(self, group: str) -> dict[str, Any] | None:
        assert group == "acme.bed.test"
        return copy.deepcopy(self.service)

    async def set_ca_bundle(self, service: Mapping[str, Any], bundle: str) -> None:
        assert self.service is not None
        if self.refuses or service["metadata"] != self.service["metadata"]:
            raise Conflict("write", status=409)
        self.writes.append("APIService")
        self.service["spec"]["caBundle"] = bundle

    @property
    def bundle(self) -> list[x509.Certificate]:
        assert self.service is not None
        return x509.load_pem_x509_certificates(base64.b64decode(self.service["spec"]["caBundle"]))

    def entry(self, name: str) -> bytes:
        assert self.secret is not None
        return base64.b64decode(self.secret["data"][name])


class Clock:
    now = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def serving(cluster: Cluster, clock: Clock) -> WebhookServing:
    return WebhookServing(cluster, cluster, [WEBHOOK], clock)  # type: ignore[arg-type]  # what it calls


def serves(cluster: Cluster, now: dt.datetime, name: str = NAME) -> bool:
    """Whether a TLS client that has the bundle accepts the certificate, as another implementation sees it."""
    policy = PolicyBuilder().store(Store(cluster.bundle)).time(now)
    try:
        policy.build_server_verifier(x509.DNSName(name)).verify(
            x509.load_pem_x509_certificate(cluster.entry("tls.crt")), []
        )
    except VerificationError:
        return False
    return True


async def test_a_webhook_gets_a_certificate_that_the_api_server_trusts(
    serving: WebhookServing, cluster: Cluster, clock: Clock
) -> None:
    assert await serving.look(WEBHOOK) == ""
    # The bundle first: a webhook may read its certificate at once.
    assert cluster.writes == ["APIService", "Secret"]
    assert serves(cluster, clock.now)
    assert not serves(cluster, clock.now, "another.hooks.svc")
    assert cluster.secret is not None
    assert cluster.secret["type"] == "kubernetes.io/tls"
    assert set(cluster.secret["data"]) == {"tls.crt", "tls.key", "ca.crt"}
    assert await serving.look(WEBHOOK) == ""
    assert cluster.writes == ["APIService", "Secret"]


async def test_it_is_renewed_ahead_of_its_end_and_trusted_before_it_is_served(
    serving: WebhookServing, cluster: Cluster, clock: Clock
) -> None:
    await serving.look(WEBHOOK)
    first, served = cluster.bundle, cluster.entry("tls.crt")
    clock.now += LIFETIME - RENEW_BEFORE - dt.timedelta(days=1)
    await serving.look(WEBHOOK)
    assert cluster.entry("tls.crt") == served
    clock.now += dt.timedelta(days=2)
    await serving.look(WEBHOOK)
    assert cluster.writes == ["APIService", "Secret"] * 2
    assert cluster.entry("tls.crt") != served
    assert serves(cluster, clock.now)
    # A webhook that has not read it yet is trusted still.
    assert len(cluster.bundle) == 2
    assert first[0] in cluster.bundle
    clock.now += LIFETIME - RENEW_BEFORE + dt.timedelta(days=1)
    await serving.look(WEBHOOK)
    assert len(cluster.bundle) == 2
    assert first[0] not in cluster.bundle


async def test_a_write_that_fails_in_between_leaves_the_present_certificate_trusted(
    serving: WebhookServing, cluster: Cluster, clock: Clock
) -> None:
    await serving.look(WEBHOOK)
    clock.now += LIFETIME - RENEW_BEFORE + dt.timedelta(days=1)
    cluster.refuses = True
    assert await serving.look(WEBHOOK) == "its APIService changed in the meantime"
    assert serves(cluster, clock.now)
    cluster.refuses = False

    async def fail(_secret: Mapping[str, Any], *, force: bool) -> None:
        raise Unavailable(f"write, force {force}", status=503)

    kept, cluster.apply_secret = cluster.apply_secret, fail  # type: ignore[method-assign,assignment]
    for _ in range(5):
        with pytest.raises(Unavailable):
            await serving.look(WEBHOOK)
        assert serves(cluster, clock.now)
        assert len(cluster.bundle) == 2
    cluster.apply_secret = kept  # type: ignore[method-assign]
    assert await serving.look(WEBHOOK) == ""
    assert serves(cluster, clock.now)


@pytest.mark.parametrize("entry", ["tls.crt", "tls.key", "ca.crt"])
async def test_what_was_damaged_is_made_anew(
    serving: WebhookServing, cluster: Cluster, clock: Clock, entry: str
) -> None:
    for content in (b"", b"garbage", b"x" * 200_000):
        await serving.look(WEBHOOK)
        assert cluster.secret is not None
        cluster.secret["data"][entry] = base64.b64encode(content).decode()
        assert await serving.look(WEBHOOK) == ""
        assert serves(cluster, clock.now)


async def test_what_belongs_to_others_is_left_alone(serving: WebhookServing, cluster: Cluster) -> None:
    cluster.secret = {"metadata": {"labels": {"app": "chart"}, "resourceVersion": "1"}, "data": {}}
    assert "was not created by Certwright; nothing was changed" in await serving.look(WEBHOOK)
    cluster.secret = None
    assert cluster.service is not None
    cluster.service["spec"]["service"]["name"] = "metrics-server"
    assert "is not for the Service hooks/bed-webhook; nothing was changed" in await serving.look(WEBHOOK)
    cluster.service["spec"]["service"] = None
    assert "is not for the Service hooks/bed-webhook" in await serving.look(WEBHOOK)
    cluster.service = None
    assert await serving.look(WEBHOOK) == "there is no APIService for it yet"
    assert cluster.writes == []


async def test_a_bundle_that_something_else_writes_is_not_fought_over(
    serving: WebhookServing, cluster: Cluster, clock: Clock
) -> None:
    await serving.look(WEBHOOK)
    assert cluster.service is not None
    cluster.service["metadata"]["annotations"] = {"cert-manager.io/inject-ca-from": "hooks/serving"}
    for _ in range(10):
        cluster.service["spec"]["caBundle"] = base64.b64encode(b"another").decode()
        why = await serving.look(WEBHOOK)
        assert "cert-manager's CA injector replaces the caBundle of its APIService; remove the annotations" in why
        clock.now += dt.timedelta(minutes=1)
    assert cluster.writes == ["APIService", "Secret"]
    clock.now += dt.timedelta(hours=3)
    assert await serving.look(WEBHOOK) == ""
    assert serves(cluster, clock.now)


async def test_it_waits_until_this_process_leads(serving: WebhookServing, cluster: Cluster) -> None:
    begun = asyncio.Event()
    running = asyncio.create_task(serving.run(begun))
    await asyncio.sleep(0)
    assert cluster.writes == []
    begun.set()
    async with asyncio.timeout(5):
        await cluster.done.wait()
    assert cluster.writes == ["APIService", "Secret"]
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize("text", ["", "acme.bed.test", "acme.bed.test=hooks/web", "a=b/c/d/e", "A=b/c/d", "a=../c/d"])
def test_what_is_no_webhook_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not GROUP=NAMESPACE/SERVICE/SECRET"):
        ServedWebhook.parse(text)


async def test_a_clock_that_was_set_back_keeps_no_bundle_from_being_mended(
    serving: WebhookServing, cluster: Cluster, clock: Clock
) -> None:
    await serving.look(WEBHOOK)
    clock.now -= dt.timedelta(minutes=30)
    assert cluster.service is not None
    del cluster.service["spec"]["caBundle"]
    assert await serving.look(WEBHOOK) == ""
    assert serves(cluster, clock.now)
