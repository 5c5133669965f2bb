"""Creates solvers from the command line or saved settings: servers, files, DNS updates, instructions."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from certwright.acme import HttpxTransport
from certwright.challenges.dns01 import PROPAGATION_SECONDS, until_seen
from certwright.cli.acme.dns_credentials import load_config, provider_name
from certwright.cli.acme.exec_hook import DnsHook, HookProgram, HttpHook, checked_program
from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.files import read_file
from certwright.cli.acme.lock import Busy
from certwright.cli.acme.solver_settings import (
    RECORDS,
    UPDATING,
    DnsCheck,
    SolverSettings,
    dns_for_name,
    for_name,
    parse_dns,
    parse_record_options,
    parse_solver,
)
from certwright.cli.terminal import read_line
from certwright.client import (
    CannotListen,
    Dns01,
    DnsAccount01,
    DnsPersist01,
    Http01Server,
    Manual,
    NotVisible,
    SelfChecked,
    TlsAlpn01Server,
    Webroot,
)
from certwright.dns import DnsView, TsigKey, TxtRecord
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from certwright.dns.view import VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from certwright.acme import Identifier, Response
    from certwright.cli.acme.lock import Lock
    from certwright.cli.acme.output import Output
    from certwright.cli.acme.session import Session
    from certwright.cli.acme.solver_settings import DnsSpec, RecordOptions, SolverSpec
    from certwright.client import Instruction, Proof, Solver, Solvers
    from certwright.dns import Provider
    from certwright.dns.provider import ProviderConfig
    from certwright.dns.view import View

TSIG_VARIABLE: Final = "CERTWRIGHT_TSIG_SECRET"
"""The environment variable that holds a TSIG secret that is in no file."""

_MAX_KEY_BYTES: Final = 16 * 1024
_QUOTED_OR_COMMENT: Final = re.compile(r'("[^"\n]*")|/\*.*?(?:\*/|\Z)|(?:(?<=[\s;{}])|\A)(?://|#)[^\n]*', re.DOTALL)
"""What is quoted comes first, and a comment starts after a space or a mark: base64 has `//` of its own."""
_CLAUSE: Final = re.compile(r'\bkey\s++"?([^\s"{;]++)"?\s*+\{([^}]*+)\}\s*+;?')
_ALGORITHM: Final = re.compile(r'\balgorithm\s+"?([A-Za-z0-9-]+)"?\s*;')
_SECRET: Final = re.compile(r'\bsecret\s++"?([A-Za-z0-9+/=\s]++)"?\s*+;')
_DEFAULT_ALGORITHM: Final = "hmac-sha256"


def make_solvers(settings: SolverSettings, session: Session) -> Solvers:
    """Return the solvers.

    Raises:
        UsageError: There is none, or a setting is missing.
        DnsError: A server, a key or a credential is invalid.
    """
    specs = [parse_solver(text) for text in settings.chosen]
    if not specs:
        raise UsageError(
            "Choose how to validate the domains with --solver: standalone, webroot:FOLDER, tls-alpn-01, dns-01 ..., or "
            "--dns PROVIDER"
        )
    if settings.dns and not any(spec.kind in RECORDS for spec in specs):
        raise UsageError(f"--dns needs a solver that creates records: --solver {', '.join(RECORDS)}")
    providers = parse_dns(settings)
    factory = _SolverFactory(settings, session)
    # Made before anything is ordered, so that a mistake is told at once.
    made = {(spec, which): factory.make(spec, which) for spec in specs for which in factory.choices(spec, providers)}

    def choose(identifier: Identifier) -> Sequence[Solver]:
        name = identifier.value
        fitting = [specs[place] for place in for_name(specs, name)]
        keys = [(spec, dns_for_name(providers, name) if spec.kind in RECORDS else None) for spec in fitting]
        found = [made[key] for key in keys if key in made]
        if fitting and not found:
            raise UsageError(
                f"No --dns is for {name}: give --dns PROVIDER for all other names, or --nameserver for dynamic updates"
            )
        return found

    return choose


class _SolverFactory:
    def __init__(self, settings: SolverSettings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._records = parse_record_options(settings)
        self._view = DnsView(
            resolvers=settings.resolvers or None,
            authoritative=settings.authoritative or None,
            views=_views(settings),
        )
        self._server_provider: Rfc2136Provider | None = None
        self._providers: dict[DnsSpec, Provider] = {}
        self._patience: dict[DnsSpec, float] = {}
        # One for all zones, as there is one port.
        self._servers: dict[str, Solver] = {}

    def choices(self, spec: SolverSpec, providers: Sequence[DnsSpec]) -> list[DnsSpec | None]:
        """Return the DNS providers that a solver may need; None is for the server for dynamic updates, or for none."""
        if spec.kind not in RECORDS:
            return [None]
        has_rest = not any(one.zone == "" for one in providers)
        # Without any provider the missing one is told.
        alone = spec.kind not in UPDATING or self._settings.nameserver is not None or not providers
        return [*providers, *([None] if has_rest and alone else [])]

    def make(self, spec: SolverSpec, which: DnsSpec | None) -> Solver:
        """Return the solver, with a DNS provider if it is one that creates records."""
        solver = self._unchecked(spec, which)
        if self._settings.http_check and solver.challenge_type == SelfChecked.challenge_type:
            return SelfChecked(solver, _OneRequestTransport())
        return solver

    def _unchecked(self, spec: SolverSpec, which: DnsSpec | None) -> Solver:
        settings = self._settings
        match spec.kind:
            case "standalone" | "tls-alpn-01":
                return self._servers.setdefault(spec.kind, self._server(spec.kind))
            case "webroot":
                if not Path(spec.argument).is_dir():
                    raise UsageError(
                        f"The web root {spec.argument} is not a folder: give the one that the web server serves at /"
                    )
                return Webroot(spec.argument)
            case "exec":
                return self._hook(spec)
            case "manual":
                steps = ManualSteps(self._session.output, self._view, seconds=self._patience_for(None))
                return Manual(spec.argument, steps.ask, tidy=steps.tidy)  # type: ignore[arg-type]  # parse_solver checked it
            case "dns-persist-01":
                options = self._record_options(which)
                return DnsPersist01(
                    self._provider(which) if which or settings.nameserver else None,
                    self._view,
                    wildcard=settings.persist_wildcard,
                    persist_until=settings.persist_until,
                    propagation_timeout=self._patience_for(which),
                    zone=options.zone,
                    ttl=options.ttl,
                )
        if which is None and not settings.nameserver:
            raise UsageError(
                f"--solver {spec.kind} needs what creates records: --dns PROVIDER with --dns-credentials FILE, or a "
                "server for dynamic updates, --nameserver HOST[:PORT]"
            )
        options = self._record_options(which)
        return (Dns01 if spec.kind == "dns-01" else DnsAccount01)(
            self._provider(which),
            None if settings.dns_check == DnsCheck.OFF else self._view,
            propagation_timeout=self._patience_for(which),
            required=settings.dns_check == DnsCheck.REQUIRED,
            zone=options.zone,
            ttl=options.ttl,
        )

    def _hook(self, spec: SolverSpec) -> Solver:
        settings = self._settings
        try:
            path = checked_program(spec.program)
        except ValueError as error:
            raise UsageError(f"--solver exec: {error}") from None
        program = HookProgram(path, settings.exec_timeout, self._session.output.say)
        if spec.exec_type == HttpHook.challenge_type:
            return HttpHook(program)
        return DnsHook(
            program,
            spec.exec_type,
            None if settings.dns_check == DnsCheck.OFF else self._view,
            propagation_timeout=self._patience_for(None),
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
        return PortLocked(server, partial(self._session.port_lock, port))

    def _provider(self, which: DnsSpec | None) -> Provider:
        if which is None:
            return self._updates()
        if which not in self._providers:
            file = None if which.file is None else Path(which.file)
            config = load_config(provider_name(which.provider), file, self._session.warn_of_readers)
            servers = (self._settings.resolvers, self._settings.authoritative)
            self._providers[which] = self._session.provider(config, self._view, servers)
            self._patience[which] = patience_of(config)
        return self._providers[which]

    def _patience_for(self, which: DnsSpec | None) -> float:
        """Return how long records are looked for: as asked, else as long as the provider usually takes."""
        if self._settings.dns_timeout is not None:
            return self._settings.dns_timeout
        return PROPAGATION_SECONDS if which is None else self._patience.get(which, PROPAGATION_SECONDS)

    def _record_options(self, which: DnsSpec | None) -> RecordOptions:
        return self._records["" if which is None else which.zone]

    def _updates(self) -> Rfc2136Provider:
        if self._server_provider is None:
            if self._settings.tsig_key_file is not None:
                self._session.warn_of_readers(Path(self._settings.tsig_key_file))
            self._server_provider = Rfc2136Provider(
                self._settings.nameserver or "", tsig=load_tsig_key(self._settings), zones=self._view.find_zone
            )
        return self._server_provider


def patience_of(config: ProviderConfig) -> float:
    """Return how many seconds a provider's records are looked for, unless the user says otherwise."""
    usual: timedelta = getattr(config, "patience", timedelta())
    return max(PROPAGATION_SECONDS, usual.total_seconds())


def _views(settings: SolverSettings) -> list[View]:
    """Return the views. Raises `UsageError` if the saved settings have another."""
    views: list[View] = [view for view in VIEWS if view in settings.dns_views]
    if not views or len(views) < len(set(settings.dns_views)):
        raise UsageError(f"The saved settings name an unknown --dns-view: it is one of {', '.join(VIEWS)}")
    return views


class _OneRequestTransport:
    """Requests as the CA validates, over plain HTTP or with any certificate; no connection is kept open."""

    async def request(self, method: str, url: str, **details: Any) -> Response:
        async with HttpxTransport(allow_insecure=True, verify=False) as transport:
            return await transport.request(method, url, **details)

    async def aclose(self) -> None:
        """Nothing is open."""


class PortLocked:
    """A solver that holds the lock of its port from before it presents until it has cleaned up.

    Another process that listens on the same port has to wait for the lock.

    Args:
        solver: Listens on a port.
        lock: Makes the lock of that port.
    """

    def __init__(self, solver: Solver, lock: Callable[[], Lock]) -> None:
        self._solver = solver
        self._make_lock = lock
        self._held: Lock | None = None

    @property
    def challenge_type(self) -> str:
        """The type of challenge."""
        return self._solver.challenge_type

    async def present(self, proofs: Sequence[Proof]) -> None:
        """Take the lock, then present as the solver does.

        Raises:
            CannotListen: Another run held the port until the time was up.
        """
        if self._held is None:
            lock = self._make_lock()
            try:
                await lock.take()
            except BaseException as error:
                lock.release()
                if isinstance(error, Busy):
                    raise CannotListen(str(error)) from None
                raise
            self._held = lock
        await self._solver.present(proofs)

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Wait as the solver does."""
        await self._solver.wait(proofs)

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        """Clean up as the solver does, then release the lock."""
        try:
            await self._solver.clean_up(proofs)
        finally:
            if self._held is not None:
                self._held.release()
                self._held = None


class ManualSteps:
    """Lets the user do what a challenge needs; without a terminal, watches the name servers until it is done.

    Args:
        output: Where instructions are printed.
        view: Checks whether records are visible.
        seconds: How long to wait for records.
    """

    def __init__(self, output: Output, view: DnsView, *, seconds: float) -> None:
        self._output = output
        self._view = view
        self._seconds = seconds
        self._carried_out = False

    async def ask(self, instructions: Sequence[Instruction]) -> None:
        """Print the instructions, and return when they are carried out.

        Raises:
            NotVisible: There is no user to do it, or the name servers did not show the records in time.
        """
        records = [TxtRecord(item.place, item.content) for item in instructions if item.challenge_type != "http-01"]
        if not sys.stdin.isatty() and len(records) < len(instructions):
            raise NotVisible("manual:http-01 needs a terminal; without one, use webroot or standalone")
        if sys.stdin.isatty():
            self._show(instructions)
            await self._enter()
        elif not all(seen.complete for seen in await self._view.check(records)):
            self._show(instructions)
            self._output.say(f"Waiting up to {self._seconds:g} s until all name servers have the records")
            await until_seen(self._view.check, records, seconds=self._seconds, required=True)
        self._carried_out = True

    async def tidy(self, instructions: Sequence[Instruction]) -> None:
        """Print what can be removed."""
        places = ", ".join(dict.fromkeys(item.place for item in instructions))
        news = "No longer needed, please remove" if self._carried_out else "Unless you plan to continue, please remove"
        self._output.instruct(f"{news}: {places}")

    def _show(self, instructions: Sequence[Instruction]) -> None:
        places = Counter(item.place for item in instructions)
        several = ["  Records with the same name must exist at the same time: add all of them.", ""]
        lines = [*(f"  {item}" for item in instructions), "", *(several if max(places.values()) > 1 else [])]
        self._output.instruct("\n".join(["Do exactly this:", "", *lines]))

    async def _enter(self) -> None:
        with self._output.paused():
            self._output.instruct("Press Enter when it is done, or Ctrl-C to stop.")
            if not await read_line():
                raise NotVisible("the terminal was closed before it was done")


def load_tsig_key(settings: SolverSettings) -> TsigKey | None:
    """Return the key that signs dynamic updates, or None for a server that authorizes by address.

    The secret is never on the command line: it is in a file, as `tsig-keygen` prints it or alone, or in the
    environment.

    Raises:
        UsageError: A part of it is missing.
        InvalidTsigKey: A part of it is invalid.
    """
    if settings.tsig_key_file is not None:
        path = Path(settings.tsig_key_file)
        text = read_file(path, what="the TSIG key", most=_MAX_KEY_BYTES).decode("ascii", "replace")
        return _parse_key(text, settings, source=str(path))
    secret = os.environ.get(TSIG_VARIABLE, "")
    if secret:
        return _name_key(secret, settings, source=f"${TSIG_VARIABLE}")
    if settings.tsig_key_name is not None:
        raise UsageError(f"--tsig-key-name needs the secret: give --tsig-key-file, or set {TSIG_VARIABLE}")
    return None


def _parse_key(text: str, settings: SolverSettings, *, source: str) -> TsigKey:
    bare = _QUOTED_OR_COMMENT.sub(lambda match: match.group(1) or "", text) if "{" in text else text
    clauses = _CLAUSE.findall(bare)
    if not clauses:
        return _name_key(text, settings, source=source)
    wanted = settings.tsig_key_name
    found = [(name, body) for name, body in clauses if wanted is None or name == wanted]
    if len(found) != 1:
        names = ", ".join(name for name, _ in clauses)
        raise UsageError(f"{source} has the keys {names}: choose one with --tsig-key-name")
    ((name, body),) = found
    secret, algorithm = _SECRET.search(body), _ALGORITHM.search(body)
    if secret is None:
        raise UsageError(f"The key {name} in {source} has no secret")
    default = algorithm.group(1) if algorithm else _DEFAULT_ALGORITHM
    return TsigKey(name, secret.group(1), settings.tsig_algorithm or default, source=source)


def _name_key(secret: str, settings: SolverSettings, *, source: str) -> TsigKey:
    if settings.tsig_key_name is None:
        raise UsageError(f"The TSIG secret in {source} needs the name of its key: --tsig-key-name")
    return TsigKey(settings.tsig_key_name, secret, settings.tsig_algorithm or _DEFAULT_ALGORITHM, source=source)
