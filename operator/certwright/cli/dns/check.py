"""`certwright dns check`: everything that an issuance does with a DNS provider, without a CA, each step told."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import Identifier, base64url, dns01_name
from certwright.challenges.dns01 import until_seen
from certwright.challenges.errors import NotVisible
from certwright.cli.acme.dns_credentials import load_config, provider_name
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.failures import describe, message
from certwright.cli.acme.session import Outcome, warn_of_readers
from certwright.dns import DnsError, DnsView, TxtRecord
from certwright.dns.providers import open_provider
from certwright.dns.view import VIEWS

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from certwright.cli.acme.output import Output
    from certwright.dns import Provider

CLEAN_UP_SECONDS: Final = 60.0
_VALUE_BYTES: Final = 32
"""What a CA asks for is 43 characters long, and some providers take nothing else."""


@dataclass(frozen=True)
class CheckOptions:
    """What to check.

    Attributes:
        provider: The provider, as the user named it.
        name: A domain whose record is created.
        file: Its credentials, or None for those in the environment.
        resolvers: Recursive resolvers; none for the system's.
        servers: Servers to query for the record, instead of those that the zone lists.
        views: Where the record must be visible.
        seconds: How long to wait for that.
    """

    provider: str
    name: str
    file: Path | None = None
    resolvers: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    views: tuple[str, ...] = ("authoritative",)
    seconds: float = 300.0


@dataclass
class _Steps:
    """The steps that were carried out, told as they are."""

    output: Output
    done: list[dict[str, Any]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def tell(self, step: str, text: str) -> None:
        self.done.append({"step": step, "ok": True, "message": text})
        self.output.say(f"{step}: {text}")

    async def attempt(self, step: str, act: Awaitable[str]) -> bool:
        try:
            self.tell(step, await act)
        except (DnsError, NotVisible) as error:
            self.failures.append(error)
            self.done.append({"step": step, "ok": False, "message": message(error)})
            self.output.warn(f"{step}: {message(error)}")
            return False
        return True


async def check(output: Output, options: CheckOptions) -> Outcome:
    """Find the zone, create a record, look for it, remove it.

    Raises:
        UsageError: An option, or a field of the credentials, is wrong.
        CommandError: A file cannot be read.
        DnsError: A server or a credential is not valid.
    """
    identifier = Identifier.parse(options.name)
    if identifier.type != "dns":
        raise UsageError(f"{options.name} is an address: a DNS provider validates domains")
    view = DnsView(
        resolvers=options.resolvers or None,
        authoritative=options.servers or None,
        views=[one for one in VIEWS if one in options.views],
    )
    config = load_config(provider_name(options.provider), options.file, partial(warn_of_readers, output=output))
    steps = _Steps(output)
    async with open_provider(config, view=view) as provider:
        origin = "the environment" if options.file is None else str(options.file)
        steps.tell("credentials", f"the fields in {origin} are complete")
        await _try_out(steps, provider, view, dns01_name(identifier.value.removeprefix("*.")), options.seconds)
    document = {"name": identifier.value, "steps": steps.done}
    if steps.failures:
        return Outcome({**document, "error": describe(steps.failures[0])}, ["It does not work"], ExitCode.FAILED)
    return Outcome(document, [f"{options.provider} works for {identifier.value}"])


async def _try_out(steps: _Steps, provider: Provider, view: DnsView, owner: str, seconds: float) -> None:
    place = owner

    async def follow() -> str:
        nonlocal place
        place = await view.follow_cname(owner)
        return f"the record is {place}" + (f", where the CNAME at {owner} leads" if place != owner else "")

    if not await steps.attempt("name", follow()):
        return
    # Others say it when they create the record.
    if hasattr(provider, "find_zone") and not await steps.attempt("zone", _zone(provider, place)):
        return
    record = TxtRecord(place, base64url.encode(secrets.token_bytes(_VALUE_BYTES)))
    try:
        if await steps.attempt("create", _created(provider, record)):
            await steps.attempt("look", _seen(view, record, seconds))
    finally:
        # Also after Ctrl-C, and after a failure: part of it may have been done.
        await steps.attempt("remove", _removed(provider, record))


async def _zone(provider: Any, place: str) -> str:
    return f"the provider has {(await provider.find_zone(place)).name}"


async def _created(provider: Provider, record: TxtRecord) -> str:
    await provider.present([record])
    return f"the TXT record {record.name} is created"


async def _seen(view: DnsView, record: TxtRecord, seconds: float) -> str:
    await until_seen(view.check, [record], seconds=seconds, required=True)
    (seen,) = await view.check([record])
    return seen.describe()


async def _removed(provider: Provider, record: TxtRecord) -> str:
    try:
        async with asyncio.timeout(CLEAN_UP_SECONDS):
            await provider.clean_up([record])
    except TimeoutError:
        left = f"the TXT record {record.name} with the value {record.value} may be left"
        raise NotVisible(f"the provider took longer than {CLEAN_UP_SECONDS:g} s: {left}") from None
    return "the record is removed; others at its name are as before"
