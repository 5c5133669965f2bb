"""Which releases see each other, and which of them goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from certwright.kube.claims import REFRESH_SECONDS, Claims, Scope, claim
from certwright.kube.heartbeat import Heartbeat
from certwright.kube.lease import LeaseLock

if TYPE_CHECKING:
    from certwright.kube.client import KubeClient

    from .conftest import ApiServer

OURS, OTHER = "tools/certwright", "b/certwright"


def lease(
    name: str, namespaces: str = "*", *, created: str = "2026-01-02", holder: str = "pod", renewed: int = 0
) -> Any:
    namespace, _, bare = name.partition("/")
    return {
        "metadata": {
            "namespace": namespace,
            "name": bare,
            "creationTimestamp": f"{created}T00:00:00Z",
            "annotations": {"certwright.io/namespaces": namespaces},
        },
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 9, "renewTime": f"{renewed}"},
    }


class Cluster:
    """The Leases there are, and a clock."""

    def __init__(self, server: ApiServer, client: KubeClient, *namespaces: str) -> None:
        self.server = server
        self.now = 0.0
        self.changes = 0
        self.claims = Claims(
            client, namespace="tools", name="certwright", scope=Scope(namespaces), clock=lambda: self.now
        )
        self.claims.on_change = self._changed

    async def look(self, *leases: Any) -> Claims:
        self.server.reply(200, {"items": list(leases)})
        await self.claims.look()
        self.now += REFRESH_SECONDS
        return self.claims

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def cluster(server: ApiServer, client: KubeClient) -> Cluster:
    return Cluster(server, client)


async def test_the_release_whose_lease_is_older_goes_on_and_the_other_is_kept_out(cluster: Cluster) -> None:
    claims = await cluster.look(lease(OURS), lease(OTHER, created="2026-01-01"))
    assert claims.keeper("shop") == OTHER
    assert cluster.server.seen[0].query["labelSelector"] == "certwright.io/operator=true"


async def test_one_that_comes_second_keeps_nobody_out_but_may_still_be_at_work_right_after_our_start(
    cluster: Cluster,
) -> None:
    claims = await cluster.look(lease(OURS), lease(OTHER, created="2026-01-03"))
    assert claims.keeper("shop") == OTHER, "it has not looked yet"
    await cluster.look(lease(OURS, renewed=1), lease(OTHER, created="2026-01-03", renewed=1))
    assert claims.keeper("shop") is None
    assert claims.others("shop") == [OTHER]
    assert cluster.changes == 2


async def test_a_lease_that_is_given_back_or_not_renewed_keeps_nobody_out(cluster: Cluster) -> None:
    claims = await cluster.look(lease(OURS), lease(OTHER, created="2026-01-01", holder=""))
    assert claims.keeper("shop") is None
    older = lease(OTHER, created="2026-01-01", renewed=7)
    assert (await cluster.look(older)).keeper("shop") == OTHER
    assert (await cluster.look(older)).keeper("shop") is None, "seen unchanged for longer than it is good for"
    assert (await cluster.look(lease(OTHER, created="2026-01-01", renewed=8))).keeper("shop") == OTHER
    assert (await cluster.look()).keeper("shop") is None


async def test_releases_of_different_namespaces_do_not_see_each_other(server: ApiServer, client: KubeClient) -> None:
    claims = await Cluster(server, client, "a", "b").look(lease(OTHER, "c,d", created="2026-01-01"))
    assert [claims.keeper(namespace) for namespace in ("a", "b", "")] == [None] * 3


async def test_only_what_both_serve_is_left_to_the_other(server: ApiServer, client: KubeClient) -> None:
    claims = await Cluster(server, client, "a", "b").look(lease(OTHER, "b,c", created="2026-01-01"))
    assert [claims.keeper(namespace) for namespace in ("a", "b", "")] == [None, OTHER, None]
    assert [claims.serves(namespace) for namespace in ("a", "b", "c")] == [True, True, False]
    claims = await Cluster(server, client, "a", "b").look(lease(OTHER, created="2026-01-01"))
    assert [claims.keeper(namespace) for namespace in ("a", "b", "")] == [OTHER] * 3
    claims = await Cluster(server, client).look(lease(OTHER, "b", created="2026-01-01"))
    assert [claims.keeper(namespace) for namespace in ("a", "b", "")] == [None, OTHER, None]


async def test_without_the_right_to_look_it_goes_on_alone(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    cluster.server.refuse(403, "Forbidden", "leases is forbidden")
    await cluster.claims.look()
    assert cluster.claims.looked.is_set()
    assert cluster.claims.keeper("shop") is None
    assert "The service account needs list for leases" in caplog.text


async def test_a_release_without_election_renews_its_lease_all_the_same(server: ApiServer, client: KubeClient) -> None:
    lock = LeaseLock(client, namespace="tools", name="certwright", claim=claim(Scope(("b", "a"))))
    heartbeat = Heartbeat(lock, "pod-1")
    server.refuse(404, "NotFound", "no")
    server.reply(201, lease(OURS))
    await heartbeat.beat()
    server.reply(200, lease(OURS))
    await heartbeat.beat()
    server.reply(200, lease(OURS))
    await heartbeat.release()
    assert [seen.method for seen in server.seen] == ["GET", "POST", "PUT", "PUT"]
    for seen in server.seen[1:]:
        assert seen.body["metadata"]["annotations"]["certwright.io/namespaces"] == "a,b"
        assert seen.body["metadata"]["labels"]["certwright.io/operator"] == "true"
    assert [seen.body["spec"]["holderIdentity"] for seen in server.seen[1:]] == ["pod-1", "pod-1", ""]


async def test_a_lease_that_another_write_changed_is_read_again(server: ApiServer, client: KubeClient) -> None:
    heartbeat = Heartbeat(LeaseLock(client, namespace="tools", name="certwright"), "pod-1")
    server.reply(200, lease(OURS))
    server.refuse(409, "Conflict", "changed")
    await heartbeat.beat()
    server.reply(200, lease(OURS))
    server.reply(200, lease(OURS))
    await heartbeat.beat()
    assert [seen.method for seen in server.seen] == ["GET", "PUT", "GET", "PUT"]


async def test_more_leases_than_are_listed_do_not_stop_the_release_whose_own_is_not_among_them(
    cluster: Cluster,
) -> None:
    forged = [lease(f"a-tenant/{number}", created="2026-06-01") for number in range(200)]
    for renewed in range(2):
        for one in forged:
            one["spec"]["renewTime"] = str(renewed)
        cluster.server.reply(200, {"metadata": {"continue": "more"}, "items": forged})
        cluster.server.reply(200, lease(OURS, renewed=renewed))
        await cluster.claims.look()
        cluster.now += REFRESH_SECONDS
    assert cluster.server.seen[-1].path == "/apis/coordination.k8s.io/v1/namespaces/tools/leases/certwright"
    assert cluster.claims.keeper("shop") is None
    assert len(cluster.claims.others("shop")) == 200


@pytest.mark.parametrize(
    "scope", ["shop,a\nERROR forged line,b", ",".join(f"n{n}" for n in range(60_000))], ids=["lines", "many"]
)
async def test_what_a_lease_says_of_its_namespaces_is_no_line_of_the_log_and_not_kept_whole(
    cluster: Cluster, caplog: pytest.LogCaptureFixture, scope: str
) -> None:
    await cluster.look(lease(OURS), lease("a-tenant/forged", scope, created="2026-06-01"))
    assert "forged line" not in caplog.text
    assert len(caplog.text) < 1000
    assert len(Scope.parse(scope).namespaces) <= 500
