"""Validation settings: `--solver` and all related options, in the form saved for renewals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - read at run time, by `files.from_json`
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.exits import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KINDS: Final = {
    "standalone": "http-01, built-in server",
    "webroot:FOLDER": "http-01, files in the folder that a web server serves at /",
    "tls-alpn-01": "built-in server",
    "dns-01": "records by --dns, or by dynamic updates to --nameserver",
    "dns-account-01": "the same, at a name specific to the account",
    "dns-persist-01": "a permanent record, created in the same way or once by you",
    "exec[:TYPE]:PROGRAM": "your own program presents and cleans up: dns-01 (default), http-01, dns-account-01",
    "manual[:TYPE]": "you follow instructions for dns-01 (default), http-01, dns-account-01, dns-persist-01",
}
"""The kinds of solver, with their arguments, and how each validates."""

MANUAL_TYPES: Final = ("dns-01", "http-01", "dns-account-01", "dns-persist-01")
"""The challenge types that `manual` takes, the default first."""

EXEC_TYPES: Final = ("dns-01", "http-01", "dns-account-01")
"""The challenge types that `exec` takes, the default first."""

UPDATING: Final = ("dns-01", "dns-account-01")
"""Kinds that cannot work without a DNS provider."""
RECORDS: Final = (*UPDATING, "dns-persist-01")
"""Kinds whose records a DNS provider creates."""

_PLAIN: Final = ("standalone", "tls-alpn-01", "dns-01", "dns-account-01", "dns-persist-01")


class DnsCheck(StrEnum):
    """What to do when the authoritative servers do not show a record in time."""

    REQUIRED = "required"
    ADVISORY = "advisory"
    OFF = "off"


class DnsView(StrEnum):
    """Where records must be visible."""

    AUTHORITATIVE = "authoritative"
    RECURSIVE = "recursive"


@dataclass(frozen=True)
class SolverSettings:
    """The validation options given on the command line.

    Attributes:
        solvers: As `--solver` takes them: `KIND[:ARGUMENT]`, or `ZONE=KIND[:ARGUMENT]`.
        http_host: Address that the standalone server listens on; None for all addresses.
        http_port: Its port.
        http_check: Whether http-01 responses are checked from here before the CA does.
        tls_host: Address that the tls-alpn-01 server listens on.
        tls_port: Its port.
        dns: DNS providers, as `PROVIDER` or `ZONE=PROVIDER`.
        dns_credentials: Files with what they need, as `FILE` or `ZONE=FILE`.
        dns_zones: Zones in which they create records, as `ZONE` or `ZONE=ZONE`; without one it is looked up.
        dns_ttls: Seconds for which resolvers may cache records, as `SECONDS` or `ZONE=SECONDS`.
        nameserver: Server for dynamic updates (RFC 2136), for names that no DNS provider is for.
        tsig_key_file: File with a key in BIND's format, or with a secret alone.
        tsig_key_name: Name of the key, if the file does not contain it.
        tsig_algorithm: Its algorithm, if the file does not contain it.
        resolvers: Recursive resolvers; none for the system's.
        authoritative: Servers to query for the records, instead of those that the zone lists.
        dns_views: Where the records must be visible, of `DnsView`.
        dns_timeout: Seconds until the records must be visible; None for what the DNS provider usually takes.
        dns_check: What to do if they are not.
        persist_until: Expiry of a dns-persist-01 record that is created.
        persist_wildcard: Whether it also covers wildcards and subdomains.
        exec_timeout: Seconds that a hook for challenges may run.
    """

    solvers: tuple[str, ...] = ()
    http_host: str | None = None
    http_port: int = 80
    http_check: bool = False
    tls_host: str | None = None
    tls_port: int = 443
    dns: tuple[str, ...] = ()
    dns_credentials: tuple[str, ...] = ()
    dns_zones: tuple[str, ...] = ()
    dns_ttls: tuple[str, ...] = ()
    nameserver: str | None = None
    tsig_key_file: str | None = None
    tsig_key_name: str | None = None
    tsig_algorithm: str | None = None
    resolvers: tuple[str, ...] = ()
    authoritative: tuple[str, ...] = ()
    dns_views: tuple[str, ...] = (DnsView.AUTHORITATIVE.value,)
    dns_timeout: float | None = None
    dns_check: str = DnsCheck.REQUIRED.value
    persist_until: datetime | None = None
    persist_wildcard: bool = False
    exec_timeout: float = 60.0

    @property
    def chosen(self) -> tuple[str, ...]:
        """The solvers that are used: a DNS provider without a solver means dns-01."""
        return self.solvers or (("dns-01",) if self.dns else ())


@dataclass(frozen=True)
class SolverSpec:
    """One `--solver`.

    Attributes:
        kind: One of `KINDS`.
        argument: The folder or the challenge type, or empty.
        zone: The zone whose names it is for; empty for all names.
    """

    kind: str
    argument: str = ""
    zone: str = ""

    @property
    def exec_type(self) -> str:
        """The type of challenge that a hook answers."""
        kind, colon, _ = self.argument.partition(":")
        return kind if colon and kind in EXEC_TYPES else EXEC_TYPES[0]

    @property
    def program(self) -> str:
        """The hook."""
        kind, colon, rest = self.argument.partition(":")
        return rest if colon and kind in EXEC_TYPES else self.argument

    def covers(self, name: str) -> bool:
        """Return whether it is for a domain or an address."""
        return _covers(self.zone, name)


@dataclass(frozen=True)
class DnsSpec:
    """One `--dns`, with the file that goes with it.

    Attributes:
        provider: As it was written.
        file: Its credentials, or None for those in the environment.
        zone: The zone whose names it is for; empty for all names.
    """

    provider: str
    file: str | None = None
    zone: str = ""


@dataclass(frozen=True)
class RecordOptions:
    """How a DNS provider creates its records.

    Attributes:
        zone: The zone in which it does; None for the one that contains each record.
        ttl: Seconds for which resolvers may cache them; None for the provider's default.
    """

    zone: str | None = None
    ttl: int | None = None

    @classmethod
    def parse(cls, zone: str | None, ttl: str | None) -> RecordOptions:
        """Parse one `--dns-zone` and one `--dns-ttl`.

        Raises:
            UsageError: One of them cannot be used.
        """
        return cls(None if zone is None else _record_zone(zone), None if ttl is None else _record_ttl(ttl))


def parse_solver(text: str) -> SolverSpec:
    """Parse one `--solver`.

    Raises:
        UsageError: There is no such solver.
    """
    zone, equals, rest = text.partition("=")
    # The name of a folder may contain an equals sign.
    if not equals or zone.startswith(("webroot:", "manual:", "exec:")):
        zone, rest = "", text
    kind, _, argument = rest.partition(":")
    if kind == "manual":
        argument = argument or MANUAL_TYPES[0]
    if (
        (kind in _PLAIN and not argument)
        or (kind in ("webroot", "exec") and argument.removesuffix(":") not in ("", *EXEC_TYPES))
        or (kind == "manual" and argument in MANUAL_TYPES)
    ):
        return SolverSpec(kind, argument, _zone(zone))
    raise UsageError(f"--solver {text[:200]!r} is not one of {', '.join(KINDS)}, optionally with ZONE= in front")


def anchored(text: str) -> str:
    """Return the same solver with an absolute folder or program: cron runs `renew` in another directory.

    Raises:
        UsageError: There is no such solver.
    """
    spec = parse_solver(text)
    if spec.kind == "exec":
        return text.removesuffix(spec.program) + str(Path(spec.program).absolute())
    if spec.kind != "webroot":
        return text
    return text.removesuffix(spec.argument) + str(Path(spec.argument).absolute())


def parse_dns(settings: SolverSettings) -> tuple[DnsSpec, ...]:
    """Return the DNS providers with their files.

    Raises:
        UsageError: Two are for the same names, or a file or a server is for none of them.
    """
    providers = _by_zone("--dns", settings.dns)
    files = _by_zone("--dns-credentials", settings.dns_credentials)
    for zone in files:
        if zone not in providers:
            option = f"--dns {zone}=PROVIDER" if zone else "--dns PROVIDER"
            raise UsageError(f"--dns-credentials {_written(zone, 'FILE')} is for no provider: give {option} as well")
    if settings.nameserver is not None and "" in providers:
        everything = providers[""]
        raise UsageError(
            f"--dns {everything} is for all names, which leaves none for --nameserver: give --dns ZONE={everything}, "
            "or leave one of them out"
        )
    return tuple(DnsSpec(provider, files.get(zone), zone) for zone, provider in providers.items())


def parse_record_options(settings: SolverSettings) -> Mapping[str, RecordOptions]:
    """Return the options of each DNS provider, by the zone whose names it is for; empty for all other names.

    What is given without `ZONE=` is for every provider without an option of its own.

    Raises:
        UsageError: A value cannot be used, or is for no provider.
    """
    zones, ttls = _by_zone("--dns-zone", settings.dns_zones), _by_zone("--dns-ttl", settings.dns_ttls)
    places = {"", *_by_zone("--dns", settings.dns)}
    for option, given in (("--dns-zone", zones), ("--dns-ttl", ttls)):
        if given and not settings.dns and settings.nameserver is None:
            raise UsageError(f"{option} is for records that are created: give --dns PROVIDER or --nameserver as well")
        for place in given.keys() - places:
            raise UsageError(f"{option} {place}=... is for no provider: give --dns {place}=PROVIDER as well")
    return {
        place: RecordOptions.parse(zones.get(place, zones.get("")), ttls.get(place, ttls.get("")))
        for place in sorted(places)
    }


def _record_zone(text: str) -> str:
    from certwright.dns import InvalidName, normalise

    try:
        return normalise(text)
    except InvalidName as error:
        raise UsageError(f"--dns-zone: {error}") from None


def _record_ttl(text: str) -> int:
    from certwright.resources.dns01 import MAX_TTL

    # A number with more digits is too long, however many: Python refuses thousands with an error of its own.
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_TTL)) else 0
    if not 1 <= seconds <= MAX_TTL:
        raise UsageError(f"--dns-ttl {text[:200]!r} is not a number of seconds from 1 to {MAX_TTL}")
    return seconds


def anchored_file(text: str) -> str:
    """Return a `--dns-credentials` with an absolute path."""
    zone, file = _zoned(text)
    return _written(zone, str(Path(file).absolute()))


def dns_for_name(specs: Sequence[DnsSpec], name: str) -> DnsSpec | None:
    """Return the DNS provider for a name: that of the longest zone that contains it."""
    fitting = [spec for spec in specs if _covers(spec.zone, name)]
    return max(fitting, key=lambda spec: len(spec.zone), default=None)


def _by_zone(option: str, texts: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        zone, value = _zoned(text)
        if not value:
            raise UsageError(f"{option} {text[:200]!r} has no value")
        if zone in found:
            whose = f"the zone {zone}" if zone else "all names"
            raise UsageError(f"{option} is given twice for {whose}: write ZONE= in front of each that is for a zone")
        found[zone] = value
    return found


def _zoned(text: str) -> tuple[str, str]:
    """Return the zone and what is for it; the path of a file may contain an equals sign, after a slash."""
    zone, equals, rest = text.partition("=")
    return (_zone(zone), rest) if equals and "/" not in zone else ("", text)


def _written(zone: str, value: str) -> str:
    return f"{zone}={value}" if zone else value


def _zone(text: str) -> str:
    return text.strip().lower().removeprefix("*.").removesuffix(".")


def _covers(zone: str, name: str) -> bool:
    return not zone or name == zone or name.endswith(f".{zone}")


def for_name(specs: Sequence[SolverSpec], name: str) -> tuple[int, ...]:
    """Return the indexes of the solvers for a name: those of the longest zone that covers it, in their order."""
    fitting = [place for place, spec in enumerate(specs) if spec.covers(name)]
    longest = max((len(specs[place].zone) for place in fitting), default=0)
    return tuple(place for place in fitting if len(specs[place].zone) == longest)
