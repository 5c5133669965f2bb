"""`certwright dns check`: everything that an issuance does with a DNS provider, without a CA, step by step."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import Identifier, base64url, dns01_name, dns01_value, key_authorization
from certwright.challenges.dns01 import check_zone, until_seen
from certwright.challenges.errors import NotVisible
from certwright.cli.acme.dns_credentials import load_config, provider_name
from certwright.cli.acme.exits import ExitCode, UsageError
from certwright.cli.acme.failures import describe, message
from certwright.cli.acme.session import Outcome, warn_of_readers
from certwright.cli.acme.solver_settings import RecordOptions
from certwright.cli.acme.solvers import patience_of
from certwright.dns import DnsError, DnsView, TxtRecord
from certwright.dns.hosted.provider import HostedProvider
from certwright.dns.providers import open_provider
from certwright.dns.view import VIEWS

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from certwright.cli.acme.output import Output
    from certwright.dns import Provider

CLEAN_UP_SECONDS: Final = 60.0
_RANDOM_BYTES: Final = 32
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
        zone: The zone in which it is created, as the user wrote it; None for the one that contains it.
        ttl: Seconds for which resolvers may cache it, as the user wrote them; None for the provider's default.
        seconds: How long to wait until it is visible; None for as long as the provider usually takes.
    """

    provider: str
    name: str
    file: Path | None = None
    resolvers: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    views: tuple[str, ...] = ("authoritative",)
    zone: str | None = None
    ttl: str | None = None
    seconds: float | None = None


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
    records = RecordOptions.parse(options.zone, options.ttl)
    config = load_config(provider_name(options.provider), options.file, partial(warn_of_readers, output=output))
    seconds = patience_of(config) if options.seconds is None else options.seconds
    steps = _Steps(output)
    async with open_provider(config, view=view) as provider:
        origin = "the environment" if options.file is None else str(options.file)
        steps.tell("credentials", f"the fields in {origin} are complete")
        # As a challenge has one, for providers that have to be told it.
        token, thumbprint = (base64url.encode(secrets.token_bytes(_RANDOM_BYTES)) for _ in range(2))
        domain = identifier.value.removeprefix("*.")
        record = TxtRecord(
            dns01_name(domain),
            dns01_value(authorization := key_authorization(token, thumbprint)),
            domain,
            zone=records.zone,
            ttl=records.ttl,
            key_authorization=authorization,
        )
        await _try_out(steps, provider, view, record, seconds)
    document = {"name": identifier.value, "steps": steps.done}
    if steps.failures:
        return Outcome({**document, "error": describe(steps.failures[0])}, ["It does not work"], ExitCode.FAILED)
    return Outcome(document, [f"{options.provider} works for {identifier.value}"])


async def _try_out(steps: _Steps, provider: Provider, view: DnsView, wanted: TxtRecord, seconds: float) -> None:
    record = wanted

    async def follow() -> str:
        nonlocal record
        record = replace(wanted, name=await view.follow_cname(wanted.name))
        led = f", where the CNAME at {wanted.name} leads" if record != wanted else ""
        return f"the record is {record.name}{led}"

    if not await steps.attempt("name", follow()):
        return
    # Others say it when they create the record.
    knows_zones = isinstance(provider, HostedProvider)
    if (knows_zones or record.zone) and not await steps.attempt("zone", _zone(provider, record)):
        return
    try:
        if await steps.attempt("create", _created(provider, record)):
            await steps.attempt("look", _seen(view, record, seconds))
    finally:
        # Also after Ctrl-C, and after a failure: part of it may have been done.
        await steps.attempt("remove", _removed(provider, record))


async def _zone(provider: Provider, record: TxtRecord) -> str:
    check_zone(record.name, record.zone)
    if isinstance(provider, HostedProvider):
        return f"the provider has {(await provider.zone_of(record)).name}"
    return f"the record is to be in {record.zone}"


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
