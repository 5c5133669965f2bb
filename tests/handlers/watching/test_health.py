from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from certwright.handlers.registrations import SECRETS as OUR_SECRETS
from certwright.handlers.watching.health import ABANDONED_SECONDS, REFUSED_SECONDS, STARTING, Watches
from certwright.kube.resource import CERTIFICATES, CLUSTER_ISSUERS, ISSUERS

if TYPE_CHECKING:
    from certwright.kube.resource import Resource

RESOURCES = [CERTIFICATES, ISSUERS, CLUSTER_ISSUERS, OUR_SECRETS]
WATCHED = [resource.plural for resource in RESOURCES]
OURS = "https://api/apis/certwright.io/v1"
SECRETS = "https://api/api/v1/secrets?labelSelector=x"
FORBIDDEN = 'certificates.certwright.io is forbidden: User "sa" cannot list resource "certificates"'


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """An API server's answers, and what became of them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lists: list[tuple[str, str | None, set[str], int]] = []
        self.failures: list[tuple[str, str]] = []
        self.watches = Watches(
            RESOURCES,
            on_list=self._on_list,
            on_failure=lambda resource, status: self.failures.append((resource, status)),
            clock=self.clock,
        )

    async def _on_list(self, resource: Resource, namespace: str | None, uids: set[str], version: int) -> None:
        self.lists.append((resource.plural, namespace, uids, version))

    async def discovers(self, *plurals: str) -> None:
        groups = [{"name": "apps"}, *([{"name": "certwright.io"}] if plurals else [])]
        await self.watches.answered(URL("https://api/apis"), {"groups": groups})
        if plurals:
            resources = [{"name": name} for plural in plurals for name in (plural, f"{plural}/status")]
            await self.watches.answered(URL(OURS), {"resources": resources})

    async def lists_arrive(self, *urls: str, uids: tuple[str, ...] = (), more: str = "") -> None:
        for url in urls:
            self.watches.asked(URL(url))
            items = [{"metadata": {"uid": uid}} for uid in uids]
            body = {"metadata": {"resourceVersion": "7", "continue": more}, "items": items}
            await self.watches.answered(URL(url), body)

    def refuses(self, url: str, status: int = 403, message: str = FORBIDDEN) -> None:
        self.watches.asked(URL(url))
        body = {"kind": "Status", "reason": "Forbidden", "message": message}
        self.watches.refused(URL(url), status, body)

    def why(self) -> str:
        return self.watches.trouble or ""

    @property
    def watched(self) -> list[str]:
        return [resource.plural for resource in RESOURCES if self.watches.watching(resource)]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def seeing(world: World) -> World:
    await world.discovers("certificates", "issuers", "clusterissuers")
    await world.lists_arrive(f"{OURS}/certificates", f"{OURS}/issuers", f"{OURS}/clusterissuers", SECRETS)
    assert world.watches.complete.is_set()
    return world


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "certwright")


async def test_it_is_complete_when_the_first_list_of_everything_has_arrived(world: World) -> None:
    assert world.why() == (
        "certificates.certwright.io are not watched yet; issuers.certwright.io are not watched yet; "
        "clusterissuers.certwright.io are not watched yet; and 1 more"
    )
    await world.discovers("certificates", "issuers", "clusterissuers")
    await world.lists_arrive(f"{OURS}/certificates", f"{OURS}/issuers", f"{OURS}/clusterissuers")
    assert world.why() == "secrets are not watched yet"
    world.watches.asked(URL(SECRETS))
    assert world.why() == "the list of secrets has not arrived"
    assert not world.watches.complete.is_set()
    assert world.watched == ["certificates", "issuers", "clusterissuers"]
    await world.lists_arrive(SECRETS)
    assert world.why() == ""
    assert world.watches.complete.is_set()
    assert world.watched == list(WATCHED)


async def test_missing_crds_are_said_and_waited_for(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.discovers()
    await world.lists_arrive(SECRETS)
    assert world.why() == (
        "the API server does not serve certificates.certwright.io, issuers.certwright.io, clusterissuers.certwright.io "
        "(are the CRDs applied?)"
    )
    await world.discovers("certificates", "issuers")
    assert world.why().startswith("the API server does not serve clusterissuers.certwright.io (are")
    await world.discovers("certificates", "issuers", "clusterissuers")
    await world.discovers("certificates", "issuers", "clusterissuers")
    await world.lists_arrive(f"{OURS}/certificates", f"{OURS}/issuers", f"{OURS}/clusterissuers")
    assert world.why() == ""
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]


@pytest.mark.parametrize("as_404", [True, False], ids=["404 for the group", "no group"])
async def test_crds_that_are_removed_are_missed_at_once(seeing: World, *, as_404: bool) -> None:
    if as_404:
        seeing.watches.refused(URL(OURS), 404, "404 page not found")
    else:
        await seeing.discovers()
    assert seeing.why().startswith("the API server does not serve certificates")
    assert seeing.watched == ["secrets"]
    # Those that come back are listed anew.
    assert seeing.watches.unwatched == [f"{plural}.certwright.io" for plural in WATCHED[:3]]
    await seeing.discovers("certificates", "issuers", "clusterissuers")
    assert seeing.why().startswith("certificates.certwright.io are not watched yet")
    seeing.watches.asked(URL(f"{OURS}/issuers"))
    assert seeing.watches.unwatched == ["certificates.certwright.io", "clusterissuers.certwright.io"]


async def test_namespaces_that_may_not_be_listed_are_the_reason_that_nothing_is_watched(world: World) -> None:
    await world.discovers("certificates", "issuers", "clusterissuers")
    world.refuses("https://api/api/v1/namespaces", message="namespaces is forbidden")
    await world.discovers("certificates", "issuers", "clusterissuers")
    assert world.why().startswith(
        "certificates.certwright.io are not watched yet (HTTP 403 Forbidden: namespaces is forbidden); "
    )
    assert world.watches.unwatched == [], "they were served all the time"
    await world.lists_arrive("https://api/api/v1/namespaces")
    assert world.why().startswith("certificates.certwright.io are not watched yet; ")


async def test_the_api_servers_reason_is_given_until_the_list_arrives(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.discovers("certificates", "issuers", "clusterissuers")
    await world.lists_arrive(f"{OURS}/issuers", f"{OURS}/clusterissuers", SECRETS)
    for _ in range(5):
        world.refuses(f"{OURS}/certificates")
    words = f"HTTP 403 Forbidden: {FORBIDDEN}"
    assert world.why() == f"the list of certificates.certwright.io has not arrived: {words}"
    assert world.failures == [("certificates", "403")] * 5
    await world.lists_arrive(f"{OURS}/certificates")
    assert world.why() == ""
    assert world.watches.complete.is_set()
    assert [record.message for record in caplog.records] == [
        f"certificates.certwright.io cannot be watched; the operator sees no changes until they can: {words}",
        "certificates.certwright.io can be watched again",
    ]


async def test_an_api_server_that_does_not_answer_is_the_reason_too(world: World) -> None:
    world.watches.unanswered(URL("https://api/apis"), ConnectionRefusedError("connect failed"))
    assert world.why().startswith(
        "certificates.certwright.io are not watched yet (no answer: ConnectionRefusedError: connect failed); "
    )
    await world.discovers("certificates", "issuers", "clusterissuers")
    await world.lists_arrive(f"{OURS}/issuers", f"{OURS}/clusterissuers", SECRETS)
    world.watches.asked(URL(f"{OURS}/certificates"))
    world.watches.unanswered(URL(f"{OURS}/certificates"), TimeoutError())
    assert world.why() == "the list of certificates.certwright.io has not arrived: no answer: TimeoutError: "
    assert world.failures == [("certificates", "none")]


async def test_a_restart_of_the_api_server_is_no_trouble(seeing: World, caplog: pytest.LogCaptureFixture) -> None:
    watch = URL(f"{OURS}/certificates?watch=true")
    for _ in range(100):
        seeing.clock.now += 5
        seeing.watches.asked(watch)
        seeing.watches.unanswered(watch, ConnectionRefusedError())
        assert seeing.why() == ""
    assert "certificates" not in seeing.watched
    # While it starts it may refuse what it will allow.
    seeing.refuses(str(watch))
    seeing.clock.now += REFUSED_SECONDS - 1
    assert seeing.why() == ""
    seeing.watches.opened(watch)
    seeing.clock.now += REFUSED_SECONDS
    assert seeing.why() == ""
    assert "certificates" in seeing.watched
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_a_right_that_is_taken_away_for_good_is_missed(seeing: World) -> None:
    watch = f"{OURS}/namespaces/shop/certificates?watch=true"
    await seeing.lists_arrive(f"{OURS}/namespaces/shop/certificates")
    seeing.refuses(watch)
    seeing.clock.now += REFUSED_SECONDS
    seeing.refuses(watch)
    assert seeing.why() == (
        f"certificates.certwright.io in shop can no longer be watched: HTTP 403 Forbidden: {FORBIDDEN}"
    )
    # kopf gives up on a namespace that is gone, and so do we.
    seeing.clock.now += ABANDONED_SECONDS + 1
    assert seeing.why() == ""


async def test_a_token_that_ends_is_no_news(seeing: World, caplog: pytest.LogCaptureFixture) -> None:
    watch = f"{OURS}/issuers?watch=true"
    seeing.refuses(watch, 401, "Unauthorized")
    seeing.watches.opened(URL(watch))
    assert caplog.records == []
    for _ in range(2):
        seeing.refuses(watch, 401, "Unauthorized")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_an_api_server_that_begins_to_serve_a_resource_is_said_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        world.refuses(f"{OURS}/issuers", 429, STARTING)
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "issuers.certwright.io: the API server has only just begun to serve them; retrying")
    ]
    assert world.failures == [("issuers", "429")] * 3


async def test_a_list_in_parts_is_one_list(world: World) -> None:
    url = f"{OURS}/namespaces/shop/certificates?limit=500"
    await world.lists_arrive(url, uids=("u-1",), more="token")
    assert world.lists == []
    await world.lists_arrive(f"{url}&continue=token", uids=("u-2",))
    assert world.lists == [("certificates", "shop", {"u-1", "u-2"}, 7)]
    # One that was begun and not ended counts for nothing.
    await world.lists_arrive(url, uids=("u-3",), more="token")
    await world.lists_arrive(url, uids=("u-4",))
    assert world.lists[1:] == [("certificates", "shop", {"u-4"}, 7)]


@pytest.mark.parametrize(
    "url",
    [
        "https://api/api/v1/namespaces",
        "https://api/api/v1/certificates",
        "https://api/apis/certwright.io/v1/secrets",
        "https://api/apis/other.io/v1/certificates",
        "https://api/apis/certwright.io/v1/namespaces/shop/certificates/web",
    ],
)
async def test_other_requests_are_none_of_its_business(world: World, url: str) -> None:
    before = world.watches.trouble
    await world.lists_arrive(url)
    world.watches.opened(URL(url))
    assert (world.lists, world.watches.trouble) == ([], before)
    world.refuses(url)
    assert world.failures == []


async def test_an_api_server_may_be_below_a_path(world: World) -> None:
    await world.lists_arrive("https://rancher/k8s/clusters/c-1/apis/certwright.io/v1/issuers", uids=("u-1",))
    assert world.lists == [("issuers", None, {"u-1"}, 7)]
