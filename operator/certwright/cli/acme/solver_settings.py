"""`--solver`, as people write it: `KIND[:ARGUMENT]`, for all names, or `ZONE=KIND[:ARGUMENT]` for some."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from certwright.cli.acme.exits import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What there is, with what the argument is.
KINDS: Final = {
    "standalone": "http-01 by a server of our own",
    "webroot:FOLDER": "http-01 by files in the folder that a web server shows at /",
    "tls-alpn-01": "by a server of our own",
    "dns-01": "by dynamic updates (RFC 2136)",
    "dns-account-01": "the same at a name of the account's own",
    "dns-persist-01": "by a record that stays; made by dynamic updates, or by you once",
    "manual[:TYPE]": "you are told what to do: dns-01 (default), http-01, dns-account-01, dns-persist-01",
}
MANUAL_TYPES: Final = ("dns-01", "http-01", "dns-account-01", "dns-persist-01")
_PLAIN: Final = ("standalone", "tls-alpn-01", "dns-01", "dns-account-01", "dns-persist-01")
#: Kinds that cannot do without a server for dynamic updates.
UPDATING: Final = ("dns-01", "dns-account-01")


@dataclass(frozen=True)
class SolverSpec:
    """One solver.

    Attributes:
        kind: One of `KINDS`.
        argument: The folder or the type, or empty.
        zone: The name below which it solves, the name itself included; empty for all names.
    """

    kind: str
    argument: str = ""
    zone: str = ""

    def covers(self, name: str) -> bool:
        """Whether it solves for a name or an address."""
        return not self.zone or name == self.zone or name.endswith(f".{self.zone}")


def parse_solver(text: str) -> SolverSpec:
    """Read one.

    Raises:
        UsageError: There is no such solver.
    """
    zone, equals, rest = text.partition("=")
    # A folder may have an equals sign in its name.
    if not equals or zone.startswith(("webroot:", "manual:")):
        zone, rest = "", text
    kind, _, argument = rest.partition(":")
    if kind == "manual":
        argument = argument or MANUAL_TYPES[0]
    if (
        (kind in _PLAIN and not argument)
        or (kind == "webroot" and argument)
        or (kind == "manual" and argument in MANUAL_TYPES)
    ):
        return SolverSpec(kind, argument, zone.strip().lower().removeprefix("*.").removesuffix("."))
    raise UsageError(f"--solver {text[:200]!r} is none of {', '.join(KINDS)}, nor one of them after ZONE=")


def anchored(text: str) -> str:
    """Return the same solver with its folder in full: `renew` by cron begins somewhere else.

    Raises:
        UsageError: There is no such solver.
    """
    spec = parse_solver(text)
    if spec.kind != "webroot":
        return text
    return text.removesuffix(spec.argument) + str(Path(spec.argument).absolute())


def for_name(specs: Sequence[SolverSpec], name: str) -> tuple[int, ...]:
    """Return the places of the solvers for a name: those of the longest zone that covers it, in their order."""
    fitting = [place for place, spec in enumerate(specs) if spec.covers(name)]
    longest = max((len(specs[place].zone) for place in fitting), default=0)
    return tuple(place for place in fitting if len(specs[place].zone) == longest)
