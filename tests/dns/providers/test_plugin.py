"""Plugins, as they should be and as they should not: none of them holds up anything else, or shows a secret."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from importlib.metadata import EntryPoint
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from certwright.dns import DnsError, InvalidCredential, ProviderRefused, ProviderUnreachable, TxtRecord, UpdatesFailed
from certwright.dns.apart import Apart
from certwright.dns.credential import Credential
from certwright.dns.plugin import GROUP
from certwright.dns.provider import ProviderContext
from certwright.dns.providers import open_provider
from certwright.dns.providers import plugin as module
from certwright.dns.providers.plugin import PluginConfig, PluginProvider, Threads
from certwright.dns.zone import Zone
from certwright.http.message import Headers, Response
from certwright.runtime.turns import TENANT
from tests.dns.providers.conformance.double import SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from certwright.dns import Provider
    from certwright.dns.plugin import PluginSettings

RECORD = TxtRecord("_acme-challenge.example.com", "value")
OTHER = TxtRecord("_acme-challenge.example.org", "value")


class Good:
    """Keeps what it was given; uses the context from its own thread."""

    made: list[Good]

    def __init__(self, settings: PluginSettings, context: ProviderContext) -> None:
        self.settings = settings
        self.context = context
        self.records: set[TxtRecord] = set()
        self.threads: set[str] = set()
        self.zones: set[str] = set()
        Good.made.append(self)

    async def present(self, records: Sequence[TxtRecord]) -> None:
        self.threads.add(threading.current_thread().name)
        for record in records:
            self.zones.add((await self.context.find_zone(record.name)).name)
            answer = await self.context.request("PUT", "https://api.example/records", headers={}, content=b"{}")
            assert answer.status == 200
        self.records.update(records)

    def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """A plain method does as well: it may block, as it has a thread of its own."""
        time.sleep(0.01)
        self.records.difference_update(records)


class Transport:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    async def request(self, method: str, url: str, **_: Any) -> Response:
        self.asked.append((method, url, TENANT.get()))
        assert threading.current_thread() is threading.main_thread()
        return Response(200, Headers({}), b"{}", url)

    async def aclose(self) -> None: ...


async def find_zone(name: str) -> Zone:
    assert threading.current_thread() is threading.main_thread()
    return Zone(".".join(name.split(".")[-2:]), ())


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def context(transport: Transport) -> ProviderContext:
    return ProviderContext(find_zone, lambda: transport)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs plugins by name: what each entry point names."""
    monkeypatch.setattr(module, "_FACTORIES", {})
    Good.made = []
    here = ModuleType("certwright_plugins_of_the_test")
    monkeypatch.setitem(sys.modules, here.__name__, here)
    points: list[EntryPoint] = []
    monkeypatch.setattr(module, "entry_points", lambda *, group: [one for one in points if one.group == group])

    def put(**plugins: Any) -> None:
        for name, value in plugins.items():
            text = value if isinstance(value, str) else f"{here.__name__}:{name}"
            setattr(here, name, value)
            points.append(EntryPoint(name, text, GROUP))

    yield put
    gc.collect()


def plugin(name: str, context: ProviderContext, **fields: Any) -> Provider:
    return PluginConfig(name, **fields).build(context)


async def test_a_plugin_gets_its_settings_and_works_in_a_thread_of_its_own(
    install: Callable[..., None], context: ProviderContext, transport: Transport
) -> None:
    install(good=Good)
    TENANT.set("shop")
    provider = plugin("good", context, config={"b": [1], "a": 2}, secret_refs={"token": SECRET}, ambient=True)
    assert Good.made == [], "it is not made before it is needed"
    await provider.present([RECORD, RECORD, OTHER])
    (made,) = Good.made
    assert made.settings.config == {"a": 2, "b": [1]}
    assert made.settings.secrets["token"].printable("token") == SECRET
    assert made.settings.ambient
    assert made.threads == {"plugin good"}
    assert made.zones == {"example.com", "example.org"}
    assert transport.asked == [("PUT", "https://api.example/records", "shop")] * 2, "on behalf of the same tenant"
    await provider.clean_up([RECORD])
    assert made.records == {OTHER}
    assert SECRET not in repr(made.settings)


async def test_the_library_opens_a_plugin_as_any_other_provider(
    install: Callable[..., None], transport: Transport
) -> None:
    install(good=Good)
    view: Any = SimpleNamespace(find_zone=find_zone)
    async with open_provider(
        "plugin", name="good", config={"a": 1}, secret_refs={"token": SECRET}, transport=transport, view=view
    ) as provider:
        await provider.present([RECORD])
    assert Good.made[0].records == {RECORD}


def test_equal_settings_are_equal_configurations_in_any_order() -> None:
    one = PluginConfig("x", {"a": 1, "b": 2}, {"k": "v", "l": Credential("w")})
    two = PluginConfig("x", {"b": 2, "a": 1}, {"l": Credential("w"), "k": "v"})
    assert one == two or (one.config, [k for k, _ in one.secret_refs]) == (two.config, [k for k, _ in two.secret_refs])
    assert hash(one) is not None
    assert "v" not in repr(one).replace("ambient", "")


async def test_a_plugin_that_is_not_there_is_told_with_those_that_are(
    install: Callable[..., None], context: ProviderContext
) -> None:
    with pytest.raises(ProviderRefused, match="there is no DNS plugin gone: none is installed"):
        await plugin("gone", context).present([RECORD])
    install(good=Good, better=Good)
    with pytest.raises(ProviderRefused, match="there is no DNS plugin gone: installed are better, good"):
        await plugin("gone", context).present([RECORD])
    install(good="elsewhere:Good")
    with pytest.raises(ProviderRefused, match="several packages have a DNS plugin good"):
        await plugin("good", context).present([RECORD])


def wrong_factory(*_: Any) -> object:
    return 7


def leaves(*_: Any) -> None:
    raise SystemExit(SECRET)


def demanding(settings: PluginSettings, _: ProviderContext) -> Provider:
    raise InvalidCredential(f"the token is missing in the config of {settings.name}")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("no_such_package_of_anybody:X", "needs the module no_such_package_of_anybody, which is not installed"),
        ("json:nothing_there", "cannot be loaded: it raised AttributeError at line"),
        ("json:__name__", "names json:__name__, which is no class and no function"),
        (wrong_factory, "it made a int, which has no method present"),
        (leaves, "failed: it raised SystemExit at line .* of test_plugin.py"),
        (demanding, "the token is missing in the config of broken"),
    ],
)
async def test_a_plugin_that_cannot_be_made_is_told(
    install: Callable[..., None], context: ProviderContext, value: Any, said: str
) -> None:
    install(broken=value)
    with pytest.raises(DnsError, match=said) as caught:
        await plugin("broken", context).present([RECORD])
    assert SECRET not in str(caught.value)


class Raising:
    error: Any = None

    def __init__(self, *_: Any) -> None: ...

    async def present(self, _: Sequence[TxtRecord]) -> Any:
        if isinstance(self.error, BaseException):
            raise self.error
        return self.error

    clean_up = present


def unreachable(seconds: Any) -> ProviderUnreachable:
    return ProviderUnreachable("the API is busy", host="api.example", retry_after=seconds)


def named(names: Any) -> ProviderRefused:
    error = ProviderRefused("no right to change\x1b[31m it")
    error.names = names
    return error


class Odd(ProviderRefused):
    """An error of the plugin's own."""


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (KeyError(SECRET), ProviderRefused, "it raised KeyError at line"),
        (KeyboardInterrupt(SECRET), ProviderRefused, "it raised KeyboardInterrupt at line"),
        (asyncio.CancelledError(SECRET), ProviderRefused, "it raised CancelledError at line"),
        (TimeoutError(SECRET), ProviderRefused, "it raised TimeoutError at line"),
        (False, ProviderRefused, "its present returned a bool where nothing is expected"),
        (Odd("the zone is locked"), ProviderRefused, "the zone is locked"),
        (DnsError("x" * 5000), ProviderRefused, "x{100,500}"),
        (named(("a.example", 7, RECORD.name)), ProviderRefused, "no right to change"),
        (named(None), ProviderRefused, "no right"),
        (unreachable(30), ProviderUnreachable, "busy"),
        (unreachable(float("nan")), ProviderUnreachable, "busy"),
        (unreachable(1e12), ProviderUnreachable, "busy"),
        (unreachable("soon"), ProviderUnreachable, "busy"),
        (UpdatesFailed([Odd("one"), ProviderRefused("two")]), UpdatesFailed, "one; two"),
        (UpdatesFailed([]), ProviderRefused, "failed"),
    ],
)
async def test_whatever_a_plugin_raises_or_returns_becomes_an_error_of_ours(
    install: Callable[..., None], context: ProviderContext, error: Any, kind: type[DnsError], said: str
) -> None:
    class This(Raising):
        pass

    This.error = error
    install(broken=This)
    with pytest.raises(DnsError, match=said) as caught:
        await plugin("broken", context).present([RECORD])
    assert type(caught.value) is kind, "its class says what people are told to do"
    assert caught.value.names == (RECORD.name,)
    assert caught.value.retry_after in (None, 30.0, 3600.0)
    assert SECRET not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) <= 600


class Blocking:
    """Its first call blocks its thread until it is let go."""

    called: threading.Event
    go: threading.Event
    calls: int

    def __init__(self, *_: Any) -> None: ...

    def present(self, _: Sequence[TxtRecord]) -> None:
        Blocking.calls += 1
        Blocking.called.set()
        Blocking.go.wait(30)

    clean_up = present


async def test_a_plugin_that_blocks_holds_up_nothing_else_and_is_not_called_again_until_it_is_back(
    install: Callable[..., None], context: ProviderContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.1)
    monkeypatch.setattr("certwright.dns.apart.ANSWER_SECONDS", 0.1)
    Blocking.called, Blocking.go, Blocking.calls = threading.Event(), threading.Event(), 0
    install(blocking=Blocking, good=Good)
    stuck = plugin("blocking", context)
    late = asyncio.create_task(stuck.present([RECORD]))
    assert await asyncio.to_thread(Blocking.called.wait, 20)
    monkeypatch.setattr(module, "CALL_SECONDS", 30.0)
    await plugin("good", context).present([RECORD])
    with pytest.raises(ProviderUnreachable, match="the DNS plugin blocking did not come to an end within"):
        await late
    with pytest.raises(ProviderUnreachable, match="did not come to an end"):
        await stuck.present([RECORD])
    assert Blocking.calls == 1
    Blocking.go.set()
    async with asyncio.timeout(20):
        while True:
            try:
                await stuck.present([RECORD])
            except ProviderUnreachable:
                await asyncio.sleep(0.01)
                continue
            break
    assert Blocking.calls == 2


class Slow:
    cancelled: threading.Event

    def __init__(self, *_: Any) -> None: ...

    async def present(self, _: Sequence[TxtRecord]) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            Slow.cancelled.set()
            raise

    clean_up = present


async def test_a_call_that_takes_too_long_is_ended(
    install: Callable[..., None], context: ProviderContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 0.05)
    Slow.cancelled = threading.Event()
    install(slow=Slow)
    with pytest.raises(ProviderUnreachable, match="did not come to an end") as caught:
        await plugin("slow", context).present([RECORD])
    assert caught.value.names == (RECORD.name,)
    assert await asyncio.to_thread(Slow.cancelled.wait, 20)


async def test_an_import_that_blocks_is_told_and_not_begun_again(
    install: Callable[..., None], context: ProviderContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = threading.Event(), []

    def load(_: EntryPoint) -> Any:
        begun.append(True)
        go.wait(30)
        return Good

    monkeypatch.setattr(EntryPoint, "load", load)
    monkeypatch.setattr(module, "LOAD_SECONDS", 0.05)
    monkeypatch.setattr("certwright.dns.apart.ANSWER_SECONDS", 0.05)
    install(heavy=Good)
    for _ in range(2):
        with pytest.raises(ProviderUnreachable, match=r"is not loaded after .* s: its import blocks"):
            await plugin("heavy", context).present([RECORD])
    assert len(begun) == 1
    go.set()
    monkeypatch.setattr(module, "LOAD_SECONDS", 20.0)
    await plugin("heavy", context).present([RECORD])


async def test_the_threads_are_bounded_and_no_tenant_takes_all() -> None:
    threads = Threads(4)

    def new(tenant: str) -> Apart[None]:
        TENANT.set(tenant)
        apart = Apart(lambda: None, name="test")
        threads.add(apart)
        return apart

    first, *others = [new("evil") for _ in range(4)]
    assert len(threads) == 4
    fifth = new("evil")
    assert first.is_closed, "idle, and used least recently"
    for one in [*others, fifth]:
        one.running = 1
    with pytest.raises(ProviderUnreachable, match="too many DNS plugins are at work"):
        new("good")
    others[0].running = 0
    with pytest.raises(ProviderUnreachable, match="too many"):
        new("evil")
    assert not new("good").is_closed
    for one in [*others, fifth]:
        one.close()


async def test_the_thread_ends_with_its_provider(install: Callable[..., None], context: ProviderContext) -> None:
    install(good=Good)
    provider: Any = plugin("good", context)
    await provider.present([RECORD])
    thread = provider._apart._thread
    assert thread.is_alive()
    del provider
    gc.collect()
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()


async def test_what_may_not_be_sent_does_not_reach_the_plugin(
    install: Callable[..., None], transport: Transport
) -> None:
    class NotNow(Exception):
        pass

    def before_send() -> None:
        raise NotNow

    install(good=Good)
    provider = plugin("good", ProviderContext(find_zone, lambda: transport, before_send))
    with pytest.raises(NotNow):
        await provider.present([RECORD])
    assert not Good.made or not Good.made[0].records


def test_nothing_is_looked_for_before_a_plugin_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**_: Any) -> Any:
        raise AssertionError("entry points were read")

    monkeypatch.setattr(module, "entry_points", never)
    context = ProviderContext(find_zone, Transport)
    assert isinstance(PluginConfig("any").build(context), PluginProvider)
