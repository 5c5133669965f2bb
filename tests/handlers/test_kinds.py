"""A kind that Certwright does not have: what one declaration and one reconciler bring it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from certwright.handlers.kinds import Kinds, WatchedKind
from certwright.handlers.manager import Manager
from certwright.handlers.quarantine import Quarantine
from certwright.handlers.watching.health import Watches
from certwright.handlers.watching.settings import kopf_settings
from certwright.handlers.watching.watcher import make_registry
from certwright.kube.errors import Unavailable
from certwright.kube.resource import Resource
from certwright.metrics import Metrics
from certwright.resources import InvalidResource
from certwright.runtime.key import Key
from certwright.runtime.leadership import Leadership
from certwright.runtime.result import Result

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from certwright.handlers.invalid import InvalidObject

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap", {"trust": "bundle"})
ROOTS, OTHER = Key("ConfigMap", "shop", "roots"), Key("ConfigMap", "shop", "other")


def body(name: str = "roots", *, version: int = 1, **data: str) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**metadata, "labels": {"trust": "bundle", "a": "b"}}, "data": data or {"ca": "pem"}}


class Reconciler:
    """Counts looks, and what it is told besides."""

    def __init__(self) -> None:
        self.looks: Counter[Key] = Counter()
        self.results: list[Result | Exception] = []
        self.gone: list[tuple[Key, str]] = []
        self.invalid: list[tuple[Key, str]] = []

    async def reconcile(self, key: Key) -> Result:
        self.looks[key] += 1
        result = self.results.pop(0) if self.results else Result.ON_EVENT
        if isinstance(result, Exception):
            raise result
        return result

    def on_gone(self, key: Key, uid: str) -> None:
        self.gone.append((key, uid))

    async def on_invalid(self, key: Key, invalid: InvalidObject) -> None:
        self.invalid.append((key, invalid.message))


def parse(found: Mapping[str, Any]) -> str:
    if "ca" not in found["data"]:
        raise InvalidResource("ConfigMap", ("data.ca: is missing",))
    return str(found["data"]["ca"])


def wakes(key: Key, before: str | None, after: str | None) -> Iterable[Key]:
    """A new text is news; when one goes, the other is looked at."""
    if after is None:
        return (OTHER,)
    return (key,) if before != after else ()


class Recorder:
    """Stands in for the poster of Events."""

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """Nothing waits."""


@pytest.fixture
def reconciler() -> Reconciler:
    return Reconciler()


@pytest.fixture
def kind(reconciler: Reconciler) -> WatchedKind[str]:
    """The declaration."""
    return WatchedKind(
        CONFIG_MAPS,
        parse=parse,
        wakes=wakes,
        reconcile=reconciler.reconcile,
        on_gone=reconciler.on_gone,
        on_invalid=reconciler.on_invalid,
    )


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def manager(kind: WatchedKind[str], metrics: Metrics) -> AsyncIterator[Manager]:
    """A manager at work."""
    recorder: Any = Recorder()
    nobody: Any = None
    quarantine = Quarantine(nobody, recorder=recorder, metrics=metrics, clock=lambda: dt.datetime.now(dt.UTC))
    made = Manager(
        workers=2, recorder=recorder, metrics=metrics, leadership=Leadership.unlimited(), quarantine=quarantine
    )
    made.kinds.register(kind)
    stop = asyncio.Event()
    task = asyncio.create_task(made.run(stop))
    yield made
    stop.set()
    await task


async def settled(manager: Manager) -> None:
    async with asyncio.timeout(60):
        while len(manager.queue) or manager.queue.held:  # noqa: ASYNC110 - nothing tells when it is so
            await asyncio.sleep(0)


@pytest.mark.parametrize("event", [None, "ADDED", "MODIFIED"])
async def test_it_is_stored_queued_and_reconciled(
    manager: Manager, kind: WatchedKind[str], reconciler: Reconciler, metrics: Metrics, event: str | None
) -> None:
    await manager.take_event(CONFIG_MAPS, event, body(ca="one"))
    assert (kind.store.get("shop", "roots"), len(manager.queue)) == ("one", 1)
    await settled(manager)
    assert reconciler.looks == {ROOTS: 1}
    assert b'certwright_reconcile_seconds_count{kind="ConfigMap"} 1.0' in metrics.render()


async def test_only_what_its_declaration_calls_news_wakes_it(
    manager: Manager, kind: WatchedKind[str], reconciler: Reconciler
) -> None:
    for version, text in [(1, "one"), (2, "one"), (1, "old"), (3, "three")]:
        await manager.take_event(CONFIG_MAPS, "MODIFIED", body(version=version, ca=text))
        await settled(manager)
    assert (reconciler.looks, kind.store.get("shop", "roots")) == ({ROOTS: 2}, "three")


async def test_its_result_says_when_to_look_again(manager: Manager, reconciler: Reconciler) -> None:
    reconciler.results = [Result.again_in(0), Unavailable("read", status=503)]
    await manager.take_event(CONFIG_MAPS, "ADDED", body())
    async with asyncio.timeout(60):
        while reconciler.looks[ROOTS] < 2 or manager.queue.held:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
    assert len(manager.scheduler) == 1, "the API server was away: it is tried again"


@pytest.mark.parametrize("last", ["deleted", "listed away", "its label is gone"])
async def test_one_that_goes_is_forgotten_and_wakes_what_the_declaration_says(
    manager: Manager, kind: WatchedKind[str], reconciler: Reconciler, last: str
) -> None:
    reconciler.results = [Result.again_in(3600)]
    await manager.take_event(CONFIG_MAPS, None, body())
    await settled(manager)
    assert len(manager.scheduler) == 1
    match last:
        case "deleted":
            await manager.take_event(CONFIG_MAPS, "DELETED", body(version=2))
        case "listed away":
            await manager.take_list(CONFIG_MAPS, None, {"uid-of-another"}, 2)
        case _:
            unlabelled = body(version=2)
            unlabelled["metadata"]["labels"] = {"a": "b"}
            await manager.take_event(CONFIG_MAPS, "MODIFIED", unlabelled)
    await settled(manager)
    assert not kind.knows(ROOTS)
    assert reconciler.gone == [(ROOTS, "uid-roots")]
    assert reconciler.looks == {ROOTS: 1, OTHER: 1}
    assert len(manager.scheduler) == 0
    await manager.take_event(CONFIG_MAPS, "MODIFIED", body(version=1))
    assert not kind.knows(ROOTS), "late news"


async def test_a_list_says_nothing_of_other_namespaces_or_of_what_came_later(
    manager: Manager, kind: WatchedKind[str]
) -> None:
    await manager.take_event(CONFIG_MAPS, None, body(version=5))
    await manager.take_list(CONFIG_MAPS, "elsewhere", set(), 9)
    await manager.take_list(CONFIG_MAPS, "shop", set(), 4)
    await manager.take_list(CONFIG_MAPS, "shop", {"uid-roots"}, 9)
    assert kind.knows(ROOTS)


async def test_one_that_cannot_be_read_is_told_and_not_reconciled(
    manager: Manager, kind: WatchedKind[str], reconciler: Reconciler
) -> None:
    await manager.take_event(CONFIG_MAPS, "ADDED", body(ca="one"))
    await settled(manager)
    await manager.take_event(CONFIG_MAPS, "MODIFIED", body(version=2, key="pem"))
    await settled(manager)
    assert reconciler.invalid == [(ROOTS, "data.ca: is missing. Certwright ignores it until it is corrected.")]
    assert (reconciler.looks, kind.store.get("shop", "roots")) == ({ROOTS: 1}, "one")
    await manager.take_event(CONFIG_MAPS, "MODIFIED", body(version=3, ca="three"))
    await settled(manager)
    assert (reconciler.looks, len(reconciler.invalid)) == ({ROOTS: 2}, 1)


@pytest.mark.parametrize("known", [True, False], ids=["it was valid before", "it never was valid"])
async def test_an_invalid_one_that_a_list_has_no_more_is_forgotten_once(
    manager: Manager, kind: WatchedKind[str], reconciler: Reconciler, *, known: bool
) -> None:
    if known:
        await manager.take_event(CONFIG_MAPS, None, body())
    await manager.take_event(CONFIG_MAPS, None, body(version=2, key="pem"))
    await manager.take_list(CONFIG_MAPS, None, {"uid-roots"}, 3)
    assert kind.knows(ROOTS)
    await manager.take_list(CONFIG_MAPS, None, set(), 3)
    assert not kind.knows(ROOTS)
    assert reconciler.gone == [(ROOTS, "uid-roots")]


async def test_an_older_invalid_version_does_not_outlive_the_correction(
    manager: Manager, kind: WatchedKind[str]
) -> None:
    await manager.take_event(CONFIG_MAPS, None, body(version=2, key="pem"))
    await manager.take_event(CONFIG_MAPS, None, body(version=1, ca="older"))
    assert kind.invalid.get("shop", "roots") is not None, "what came before says nothing about it"
    await manager.take_event(CONFIG_MAPS, None, body(version=3, ca="three"))
    assert kind.invalid.get("shop", "roots") is None


async def test_it_is_watched_by_its_label(manager: Manager, kind: WatchedKind[str]) -> None:
    [handler] = make_registry(manager.kinds.resources, manager.take_event)._watching.get_all_handlers()
    assert handler.selector is not None
    assert (handler.selector.plural or handler.selector.any_name, handler.labels) == ("configmaps", {"trust": "bundle"})
    handle: Any = handler.fn
    await handle(event={"type": "ADDED", "object": body(ca="one")}, logger=None)
    assert list(kind.store) == ["one"]
    selectors = kopf_settings(manager.kinds.resources).watching.label_selectors
    assert list(selectors.values()) == ["trust=bundle"]


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (CONFIG_MAPS, "/api/v1/configmaps"),
        (Resource("networking.k8s.io", "v1", "ingresses", "Ingress"), "/apis/networking.k8s.io/v1/ingresses"),
    ],
    ids=["core", "a group"],
)
async def test_its_watch_counts_for_readiness(resource: Resource, path: str) -> None:
    lists: list[tuple[Resource, str | None, set[str], int]] = []

    async def on_list(*arguments: Any) -> None:
        lists.append(arguments)

    watches = Watches([resource], on_list=on_list, on_failure=lambda _resource, _status: None)
    assert watches.trouble == f"{resource.title} are not watched yet"
    url = URL(f"https://api{path}?limit=500")
    watches.asked(url)
    await watches.answered(url, {"metadata": {"resourceVersion": "7"}, "items": [{"metadata": {"uid": "u"}}]})
    assert watches.complete.is_set()
    assert watches.watching(resource)
    assert lists == [(resource, None, {"u"}, 7)]


def test_a_kind_is_registered_once(kind: WatchedKind[str]) -> None:
    kinds = Kinds()
    kinds.register(kind)
    with pytest.raises(ValueError, match="ConfigMap is registered already"):
        kinds.register(kind)


@pytest.fixture
def untold(manager: Manager) -> Callable[[], WatchedKind[str]]:
    """Registers a kind that is watched only for what it wakes."""

    def register() -> WatchedKind[str]:
        watched = WatchedKind(Resource("", "v1", "services", "Service"), parse=parse, wakes=lambda *_: (ROOTS,))
        manager.kinds.register(watched)
        return watched

    return register


async def test_a_kind_without_a_reconciler_wakes_others(
    manager: Manager, reconciler: Reconciler, untold: Callable[[], WatchedKind[str]]
) -> None:
    watched = untold()
    await manager.take_event(watched.resource, "ADDED", body("front"))
    await settled(manager)
    assert reconciler.looks == {ROOTS: 1}
    await manager.take_event(watched.resource, "MODIFIED", body("front", version=2, key="pem"))
    await settled(manager)
    assert reconciler.looks == {ROOTS: 1}, "an invalid one wakes nothing"
