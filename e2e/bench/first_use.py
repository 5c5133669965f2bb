"""The process in which `bench.providers` measures what the first use of a DNS provider takes.

It imports what the operator imports and nothing else: the double of the API is in the process that started it, and both
speak to each other in pickles over the standard streams.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import pickle
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.lean import import_lean

import_lean()

import certwright.cli.run  # noqa: E402, F401 - the operator, which imports it after what is above
from certwright.dns.provider import ProviderContext  # noqa: E402
from certwright.dns.records import TxtRecord  # noqa: E402
from certwright.dns.zone import Zone  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.http.message import Response

KIB: Final = 1024
MODELS: Final = ("certwright.resources.dns_providers.", "certwright.dns.providers")


class Webhooks:
    """The API server, with a DNS webhook that does what it is asked for."""

    async def call(self, _group: str, _solver: str, _request: Mapping[str, Any]) -> dict[str, Any]:
        """Do nothing."""
        return {"success": True}


class Pipe:
    """A transport to the double on the other side."""

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None = None, max_bytes: int
    ) -> Response:
        """Have it answer."""
        found: Response = asked("request", method, url, dict(headers), content, max_bytes)
        return found

    async def aclose(self) -> None:
        """Close nothing."""


def asked(*message: Any) -> Any:
    """Send a message; return the answer, or raise it."""
    pickle.dump(message, sys.stdout.buffer)
    sys.stdout.buffer.flush()
    answer = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    if isinstance(answer, BaseException):
        raise answer
    return answer


def resident() -> int:
    """Return the bytes that the process has in memory and shares with no other."""
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * KIB


async def find_zone(name: str) -> Zone:
    """Return the zone of the doubles."""
    return Zone(".".join(name.split(".")[-2:]), ())


def know_all() -> float:
    """Return how many KiB it takes to know all providers and use none: their models, and the list of their modules."""
    loaded = {name: module for name, module in sys.modules.items() if name.startswith(MODELS)}
    for name in loaded:
        del sys.modules[name]
    resident()
    before = resident()
    for name in loaded:
        import_module(name)
    return (resident() - before) / KIB


async def main() -> None:
    """Use a provider once, and tell what that takes."""
    records = [TxtRecord(*one) for one in asked("records")]
    context = ProviderContext(find_zone, Pipe)
    resident()  # what reading takes itself is there before
    modules, before = set(sys.modules), resident()
    config = pickle.loads(asked("config"))  # noqa: S301 - as above; it imports the provider
    if "api" in {field.name for field in dataclasses.fields(config)}:  # what calls webhooks is the operator's own
        config = dataclasses.replace(config, api=Webhooks())
    provider = config.build(context)
    await provider.present(records)
    after = resident()
    asked("done", after - before, sorted(set(sys.modules) - modules))


if __name__ == "__main__":
    if sys.argv[1:] == ["know"]:
        print(know_all())
    else:
        asyncio.run(main())
