"""Solvers from what the command line said, now or when the certificate was issued first."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certwright.acme import HttpxTransport
from certwright.cli.acme.by_hand import ByHand
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.recipe import DnsCheck
from certwright.cli.acme.solver_spec import UPDATING, for_name, parse_solver
from certwright.cli.acme.tsig_file import load_tsig_key
from certwright.cli.acme.turns import InTurn
from certwright.client import (
    Dns01,
    DnsAccount01,
    DnsPersist01,
    Http01Server,
    Manual,
    SelfChecked,
    TlsAlpn01Server,
    Webroot,
)
from certwright.dns import DnsView
from certwright.dns.providers.rfc2136 import Rfc2136Provider

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.acme import Identifier, Response
    from certwright.cli.acme.recipe import SolverSettings
    from certwright.cli.acme.session import Session
    from certwright.cli.acme.solver_spec import SolverSpec
    from certwright.client import Solver, Solvers


def make_solvers(settings: SolverSettings, session: Session) -> Solvers:
    """Return the solvers.

    Raises:
        UsageError: There is none, or a setting is missing.
        DnsError: A server or a key cannot be used.
    """
    specs = [parse_solver(text) for text in settings.solvers]
    if not specs:
        raise UsageError(
            "Say how the names are proven, with --solver: standalone, webroot:FOLDER, tls-alpn-01, dns-01 or others"
        )
    workshop = _Workshop(settings, session)
    made = [workshop.make(spec) for spec in specs]

    def choose(identifier: Identifier) -> Sequence[Solver]:
        return [made[place] for place in for_name(specs, identifier.value)]

    return choose


class _Workshop:
    def __init__(self, settings: SolverSettings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._view = DnsView(resolvers=settings.resolvers or None, authoritative=settings.authoritative or None)
        self._provider: Rfc2136Provider | None = None
        # One for all zones, as there is one port.
        self._servers: dict[str, Solver] = {}

    def make(self, spec: SolverSpec) -> Solver:
        solver = self._unchecked(spec)
        if self._settings.http_check and solver.challenge_type == SelfChecked.challenge_type:
            return SelfChecked(solver, _Once())
        return solver

    def _unchecked(self, spec: SolverSpec) -> Solver:
        settings = self._settings
        match spec.kind:
            case "standalone" | "tls-alpn-01":
                return self._servers.setdefault(spec.kind, self._server(spec.kind))
            case "webroot":
                if not Path(spec.argument).is_dir():
                    raise UsageError(f"The web root {spec.argument} is no folder: name what the web server shows at /")
                return Webroot(spec.argument)
            case "manual":
                hand = ByHand(self._session.output, self._view, seconds=settings.dns_timeout)
                return Manual(spec.argument, hand.ask, tidy=hand.tidy)  # type: ignore[arg-type]  # parse_solver checked it
            case "dns-persist-01":
                return DnsPersist01(
                    self._updates() if settings.nameserver else None,
                    self._view,
                    wildcard=settings.persist_wildcard,
                    persist_until=settings.persist_until,
                    propagation_timeout=settings.dns_timeout,
                )
        if spec.kind in UPDATING and not settings.nameserver:
            raise UsageError(f"--solver {spec.kind} needs the server for dynamic updates: --nameserver HOST[:PORT]")
        return (Dns01 if spec.kind == "dns-01" else DnsAccount01)(
            self._updates(),
            None if settings.dns_check == DnsCheck.OFF else self._view,
            propagation_timeout=settings.dns_timeout,
            required=settings.dns_check == DnsCheck.REQUIRED,
        )

    def _server(self, kind: str) -> Solver:
        settings = self._settings
        port = settings.http_port if kind == "standalone" else settings.tls_port
        server: Solver
        if kind == "standalone":
            server = Http01Server(host=settings.http_host, port=port)
        else:
            server = TlsAlpn01Server(host=settings.tls_host, port=port)
        return InTurn(server, partial(self._session.port_lock, port))

    def _updates(self) -> Rfc2136Provider:
        if self._provider is None:
            if self._settings.tsig_key_file is not None:
                self._session.warn_of_readers(Path(self._settings.tsig_key_file))
            self._provider = Rfc2136Provider(
                self._settings.nameserver or "", tsig=load_tsig_key(self._settings), zones=self._view.find_zone
            )
        return self._provider


class _Once:
    """A transport for looks as the CA takes them, over plain http or with any certificate; nothing is kept open."""

    async def request(self, method: str, url: str, **details: Any) -> Response:
        async with HttpxTransport(allow_insecure=True, verify=False) as transport:
            return await transport.request(method, url, **details)

    async def aclose(self) -> None:
        """Nothing is open."""
