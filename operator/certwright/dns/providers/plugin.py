"""DNS providers from other packages, found by their entry points; see `certwright.dns.plugin`.

A plugin is loaded when it is first used. It cannot block anything but itself: it runs in its own threads, each call has
a time limit, and its results and exceptions are checked.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import threading
import traceback
import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from certwright.dns.apart import Apart, Blocked, Failed
from certwright.dns.credential import Credential, credential
from certwright.dns.errors import (
    DnsError,
    InvalidCredential,
    ProviderRefused,
    ProviderUnreachable,
    UpdatesFailed,
    ZoneNotFound,
)
from certwright.dns.outcomes import about, joined
from certwright.dns.plugin import GROUP, PluginFactory, PluginSettings
from certwright.dns.provider import MAX_ANSWER_BYTES, ProviderContext
from certwright.dns.surroundings import Surroundings
from certwright.runtime.turns import TENANT
from certwright.text import listed, printable

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from certwright.dns.provider import Provider
    from certwright.dns.records import TxtRecord
    from certwright.dns.zone import Zone
    from certwright.http.message import Response, Transport

LOAD_SECONDS: Final = 30.0
"""For importing a plugin."""
CALL_SECONDS: Final = 100.0
"""For one call; a step of the operator has two minutes."""
MAX_THREADS: Final = 64
"""Of all plugins together; one tenant has three quarters of them at most."""
MAX_MESSAGE: Final = 500
"""Characters of what a plugin says."""
MAX_ERRORS: Final = 10
"""Of what it says at once."""
MAX_WAIT: Final = 3600.0
"""A longer `retry_after` is not believed."""

_KINDS: Final = (ZoneNotFound, InvalidCredential, ProviderRefused)
"""Errors that are passed on as they are meant; others become `ProviderRefused`."""


@dataclass(frozen=True)
class PluginConfig:
    """The configuration of a plugin.

    Attributes:
        name: The name of its entry point.
        config: What it is given, as JSON; a mapping becomes that.
        secret_refs: Its credentials by name; a mapping of names to texts or credentials becomes pairs.
        ambient: Whether it may use credentials that nobody gave.
    """

    name: str
    config: Any = None
    secret_refs: Any = field(default=(), repr=False, metadata=credential("secret"))
    ambient: bool = False

    def __post_init__(self) -> None:
        """Make equal configurations equal, whichever way they are written."""
        if isinstance(self.config, Mapping):
            object.__setattr__(self, "config", json.dumps(self.config, sort_keys=True))
        if isinstance(self.secret_refs, Mapping):
            pairs = ((name, _credential(name, value)) for name, value in self.secret_refs.items())
            object.__setattr__(self, "secret_refs", tuple(sorted(pairs, key=lambda pair: pair[0])))

    @property
    def destination(self) -> str:
        """The plugin: what it does with its config is its own business."""
        return f"plugin {self.name}"

    @property
    def settings(self) -> PluginSettings:
        """What the plugin is given."""
        config = {} if self.config is None else json.loads(self.config)
        return PluginSettings(self.name, config, dict(self.secret_refs), self.ambient)

    def build(self, context: ProviderContext) -> PluginProvider:
        """Create the provider; the plugin is loaded when it is first asked to change something."""
        return PluginProvider(self.name, self.settings, context)


class PluginProvider:
    """A `Provider` that has a plugin add and remove records.

    Args:
        name: Of the plugin, for messages.
        settings: What it is given.
        context: What it gets besides, through a bridge between its thread and ours.
        factory: What makes it; None for what the entry point names.
    """

    def __init__(
        self, name: str, settings: PluginSettings, context: ProviderContext, factory: PluginFactory | None = None
    ) -> None:
        self._name = name
        self._settings = settings
        self._context = context
        self._factory = factory
        self._apart: Apart[Provider] | None = None
        self._is_blocked = False

    async def present(self, records: Sequence[TxtRecord]) -> None:
        """Have the plugin add records.

        Raises:
            ProviderRefused: There is no such plugin, it cannot be loaded, or it failed.
            ProviderUnreachable: It did not come to an end in time.
            DnsError: What the plugin raised.
        """
        await self._change("present", records)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        """Have the plugin remove records.

        Raises:
            DnsError: As for `present`.
        """
        await self._change("clean_up", records)

    async def _change(self, method: str, records: Sequence[TxtRecord]) -> None:
        wanted = list(dict.fromkeys(records))
        factory = self._factory or await load(self._name)
        apart = self._thread(factory)
        if self._context.before_send is not None:
            self._context.before_send()
        try:
            await apart.call(lambda provider: _invoke(provider, method, wanted), seconds=CALL_SECONDS)
        except Blocked:
            self._is_blocked = True
            raise about(wanted, self._late()) from None
        except TimeoutError:
            raise about(wanted, self._late()) from None
        except Failed as failed:
            raise _translated(self._name, failed.error, wanted) from None

    def _thread(self, factory: PluginFactory) -> Apart[Provider]:
        apart = self._apart
        if apart is not None and not apart.is_closed:
            if self._is_blocked and apart.running:
                raise self._late()
            self._is_blocked = False
            _THREADS.used(apart)
            return apart
        bridge = Bridge(self._context, asyncio.get_running_loop())
        settings = self._settings
        apart = Apart(lambda: _made(factory, settings, bridge), name=f"plugin {self._name}")
        _THREADS.add(apart)
        self._apart, self._is_blocked = apart, False
        # The thread ends with the last use of the provider.
        weakref.finalize(self, apart.close)
        return apart

    def _late(self) -> ProviderUnreachable:
        return ProviderUnreachable(
            f"the DNS plugin {self._name} did not come to an end within {CALL_SECONDS:.0f} s", host=self._name
        )


class Threads:
    """The threads of all plugins: bounded, and none of one tenant alone.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int = MAX_THREADS) -> None:
        self._most = most
        self._tenants: dict[Apart[Any], str] = {}

    def __len__(self) -> int:
        """How many there are."""
        self._forget_ended()
        return len(self._tenants)

    def used(self, apart: Apart[Any]) -> None:
        """Note that a thread is being used."""
        self._tenants.pop(apart, None)
        self._tenants[apart] = TENANT.get()  # at the end: the first is the one that was used least recently

    def add(self, apart: Apart[Any]) -> None:
        """Note a new thread, and end one that is idle if there are too many.

        Raises:
            ProviderUnreachable: All of them are at work; the new one is ended.
        """
        self._forget_ended()
        shares = Counter(tenant for one, tenant in self._tenants.items() if one.running)
        if len(self._tenants) >= self._most:
            idle = [one for one in self._tenants if not one.running]
            if idle:
                idle[0].close()
                del self._tenants[idle[0]]
        if len(self._tenants) >= self._most or shares[TENANT.get()] >= self._most * 3 // 4:
            apart.close()
            raise ProviderUnreachable("too many DNS plugins are at work at the same time", host="", retry_after=30.0)
        self.used(apart)

    def _forget_ended(self) -> None:
        for one in [one for one in self._tenants if not one.is_alive]:
            del self._tenants[one]


_THREADS: Final = Threads()


class Bridge(ProviderContext):
    """The context of a plugin: what it asks for is done in our event loop, and waited for in its own.

    Args:
        context: Does it.
        home: Our event loop.
    """

    def __init__(self, context: ProviderContext, home: asyncio.AbstractEventLoop) -> None:
        surroundings = Surroundings(context.surroundings.environ)
        super().__init__(self._find, _no_transport, surroundings=surroundings, monotonic=context.monotonic)
        self._real = context
        self._home = home

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
        ca_bundle: str | None = None,
        counted_as: str = "",
    ) -> Response:
        """Send one request; see `ProviderContext.request`."""
        response: Response = await self._there(
            self._real.request(
                method,
                url,
                headers=headers,
                content=content,
                max_bytes=max_bytes,
                ca_bundle=ca_bundle,
                counted_as=counted_as,
            )
        )
        return response

    async def _find(self, name: str) -> Zone:
        zone: Zone = await self._there(self._real_zone(name))
        return zone

    async def _real_zone(self, name: str) -> Zone:
        return await self._real.find_zone(name)

    async def _there(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._home))


def _no_transport() -> Transport:
    raise AssertionError("the bridge sends nothing by itself")


# Loading: once for each name, in a thread, as an import may take long or never end.

_FACTORIES: Final[dict[str, PluginFactory]] = {}
_LOADING: Final[dict[str, Apart[None]]] = {}
_FINDING: Final = threading.Lock()


async def load(name: str) -> PluginFactory:
    """Return what an entry point names; it is imported if it has not been.

    Raises:
        ProviderRefused: There is no such entry point, or it cannot be imported, or is nothing that can be called.
        ProviderUnreachable: Importing it takes too long.
    """
    if name in _FACTORIES:
        return _FACTORIES[name]
    apart = _LOADING.get(name)
    if apart is None:
        found = await asyncio.to_thread(_find, name)
        apart = _LOADING.setdefault(name, Apart(lambda: None, name=f"loading plugin {name}"))
    else:
        found = await asyncio.to_thread(_find, name)
    try:
        factory = await apart.call(lambda _: _imported(found), seconds=LOAD_SECONDS)
    except (Blocked, TimeoutError):
        raise ProviderUnreachable(
            f"the DNS plugin {name} is not loaded after {LOAD_SECONDS:.0f} s: its import blocks", host=name
        ) from None
    except Failed as failed:
        _end_loading(name)
        raise ProviderRefused(f"the DNS plugin {name} cannot be loaded: {_described(failed.error)}") from None
    _end_loading(name)
    if factory is None:
        raise ProviderRefused(f"the DNS plugin {name} names {found.value}, which is no class and no function")
    _FACTORIES[name] = factory
    return factory


def _end_loading(name: str) -> None:
    if (apart := _LOADING.pop(name, None)) is not None:
        apart.close()


def _find(name: str) -> EntryPoint:
    with _FINDING:
        known = list(entry_points(group=GROUP))
    found = list({one.value: one for one in known if one.name == name}.values())
    if len(found) > 1:
        packages = listed(sorted({one.dist.name if one.dist else one.value for one in found}))
        raise ProviderRefused(f"several packages have a DNS plugin {name}: {packages}")
    if not found:
        names = sorted({one.name for one in known})
        raise ProviderRefused(
            f"there is no DNS plugin {name}: {f'installed are {listed(names)}' if names else 'none is installed'}"
        )
    return found[0]


async def _imported(found: EntryPoint) -> PluginFactory | None:
    loaded: Any = found.load()
    return loaded if callable(loaded) else None


# What runs in the plugin's thread.


def _made(factory: PluginFactory, settings: PluginSettings, context: ProviderContext) -> Provider:
    made = factory(settings, context)
    for method in ("present", "clean_up"):
        if not callable(getattr(made, method, None)):
            raise _NonsenseReturned(f"it made a {_type_of(made)}, which has no method {method}")
    return made


async def _invoke(provider: Provider, method: str, records: Sequence[TxtRecord]) -> None:
    made = getattr(provider, method)(list(records))
    returned: object = await made if inspect.isawaitable(made) else made
    if returned is not None:
        raise _NonsenseReturned(f"its {method} returned a {_type_of(returned)} where nothing is expected")


class _NonsenseReturned(Exception):
    """A plugin returned something else than it has to; the message is ours."""


# What a plugin raised.


def _translated(name: str, error: BaseException, records: Sequence[TxtRecord]) -> DnsError:
    if isinstance(error, UpdatesFailed):
        parts = [_checked(name, one, records) for one in error.errors[:MAX_ERRORS]]
        return joined(parts) if parts else about(records, ProviderRefused(f"the DNS plugin {name} failed"))
    return _checked(name, error, records)


def _checked(name: str, error: BaseException, records: Sequence[TxtRecord]) -> DnsError:
    if not isinstance(error, DnsError):
        why = str(error) if isinstance(error, _NonsenseReturned) else _described(error)
        return about(records, ProviderRefused(f"the DNS plugin {name} failed: {why}"))
    said = printable(str(error), MAX_MESSAGE) or type(error).__name__
    if isinstance(error, ProviderUnreachable):
        checked: DnsError = ProviderUnreachable(said, host=name, retry_after=_seconds(error.retry_after))
    else:
        checked = next((kind for kind in _KINDS if isinstance(error, kind)), ProviderRefused)(said)
        checked.retry_after = _seconds(error.retry_after)
    ours = {record.name for record in records}
    named: object = error.names
    told = {one for one in named if isinstance(one, str)} if isinstance(named, tuple | list) else set()
    checked.names = tuple(sorted(ours & told or ours))
    return checked


def _seconds(said: object) -> float | None:
    if isinstance(said, bool) or not isinstance(said, int | float) or not math.isfinite(said) or said < 0:
        return None
    return min(float(said), MAX_WAIT)


def _described(error: BaseException) -> str:
    """Return what is known of an exception without its text, which may hold a secret."""
    what = f"it raised {_type_of(error)}"
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        what = f"it needs the module {printable(error.name, 100)}, which is not installed"
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
    if not frames:
        return what
    return f"{what} at line {lines[-1]} of {printable(PurePath(frames[-1].f_code.co_filename).name, 100)}"


def _type_of(value: object) -> str:
    return printable(type(value).__name__, 100)


def _credential(name: str, value: object) -> Credential:
    return value if isinstance(value, Credential) else Credential(str(value), f"the secret {name}")
