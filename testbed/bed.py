"""The test bed as a library: `with TestBed() as bed: ...`."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .access import PartAccess
from .assembly import Place, assemble, programs_for
from .binaries import find_or_build
from .certificates import BedAuthority
from .debian import find_or_install
from .errors import BedError
from .kubectl import Kubectl
from .lifecycle import start_all, stop_all
from .locations import PROJECT
from .metrics import RequestKind, parse_request_counts
from .network import ADDRESS, EVERY_ADDRESS
from .options import BedOptions, PebbleOptions
from .part import Part, Site
from .parts.cert_manager import CertManager
from .parts.dns_webhook import DnsWebhook
from .parts.knot import Knot
from .parts.pebble import Pebble
from .parts.powerdns import PowerDns
from .parts.step_ca import StepCa
from .ports import LOOPBACK, allocator
from .process import Process
from .progress import Reporter, reporter
from .state import BedState, PartState, read_state, write_state
from .web import fetch

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from .certificates import KeyPair
    from .parts.name_server import NameServer

METRICS_TIMEOUT = 30.0
_Server = TypeVar("_Server", PowerDns, Knot)


class TestBed(PartAccess):
    """A bed: real parts on free loopback ports, below one folder.

    Args:
        options: which parts, and how they are set.
        folder: where everything is kept; None for a temporary folder, which is removed at the end
            unless there was an error.
        detached: the parts outlive this Python process; otherwise they end with it, however it ends.
        display: shows what is being built and installed; None for the terminal.
    """

    __test__ = False  # a name that pytest would collect

    def __init__(
        self,
        options: BedOptions | None = None,
        *,
        folder: Path | None = None,
        detached: bool = False,
        display: Reporter | None = None,
    ) -> None:
        super().__init__()
        self.options = options or BedOptions()
        self._temporary = folder is None
        self.folder = (folder or Path(tempfile.mkdtemp(prefix="testbed-"))).resolve()
        self._detached = detached
        self._display = display or reporter()
        self._programs: dict[str, Path] = {}
        self._more_pebbles: dict[str, PebbleOptions] = {}
        self._writing = threading.Lock()
        self._abort = threading.Event()
        self._up = False
        self.up_seconds = 0.0

    @classmethod
    def attach(cls, folder: Path) -> Self:
        """Return the bed that runs in a folder; its parts can be used, stopped and started like those of a new bed.

        Raises:
            BedError: there is none, or it has a node.
        """
        state = read_state(folder)
        if state is None:
            raise BedError(f"No test bed in {folder}", remedy="start it with `python -m testbed up`")
        if state.options.node:
            raise BedError(
                f"The test bed in {folder} has a node, and belongs to the command that started it",
                remedy="look inside with the nsenter command that it printed; the test bed stops with it",
            )
        bed = cls(state.options, folder=folder, detached=True)
        bed._assemble()
        for name, options in state.more_pebbles.items():
            bed._add_pebble(name, options)
        for name, part in bed.parts.items():
            if seen := state.parts.get(name):
                part.ports = seen.ports
                part.start_seconds = seen.start_seconds
                part.process = Process(seen.process) if seen.process else None
        bed._up, bed.up_seconds = state.up, state.up_seconds
        return bed

    def __enter__(self) -> Self:
        """Start the bed."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the bed; after an error the logs are kept."""
        self.stop(keep=error is not None)

    def start(self) -> None:
        """Find or build the programs, then start all parts and wait until they serve.

        Raises:
            BedError: a program is missing or a part failed; nothing is left running, the logs are kept.
        """
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._assemble()
        try:
            start_all(self._places, self._abort.set)
        except BaseException:
            self.stop(keep=True)
            raise
        self._up, self.up_seconds = True, time.monotonic() - began
        self._save()

    def stop(self, *, keep: bool = False) -> None:
        """End all parts.

        Args:
            keep: leave the folder with the logs where it is, also when it is a temporary one.
        """
        self._up = False
        stop_all(self.parts.values(), last=("etcd", "ground"))
        if self._temporary and not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self._temporary:
            self._display.say(f"The logs of the test bed are kept in {self.folder}")

    @property
    def authority(self) -> BedAuthority:
        """The CA of the parts' own TLS certificates."""
        return self._site.authority

    @property
    def programs(self) -> dict[str, Path]:
        """The executables of the parts, and kubectl, by name."""
        return dict(self._programs)

    def start_pebble(self, name: str, options: PebbleOptions | None = None) -> Pebble:
        """Start one more Pebble, with settings of its own.

        Args:
            name: of the part and its folder.
            options: its settings.

        Raises:
            BedError: the name is taken, or it did not start.
        """
        if name in self._places:
            raise BedError(f"The bed has a part named {name} already", remedy="choose another name")
        pebble = self._add_pebble(name, options or PebbleOptions())
        pebble.start()
        return pebble

    def start_step_ca(
        self,
        *,
        http_port: int | None = None,
        tls_port: int | None = None,
        configuration: Mapping[str, Any] | None = None,
    ) -> StepCa:
        """Start step-ca, a second CA; see `StepCa`. It is built first if it has to be.

        Raises:
            BedError: It is there already, cannot be built, or did not start.
        """
        if StepCa.program in self._places:
            raise BedError("The bed has a step-ca already", remedy="end it with end_step_ca")
        self._programs |= find_or_build((StepCa.program,), self._display)
        site = replace(self._site, programs=self._programs)
        step_ca = StepCa(site, bind=self.bind, http_port=http_port, tls_port=tls_port, configuration=configuration)
        self._add(step_ca, "bind")
        step_ca.start()
        return step_ca

    def start_dns_webhook(
        self, *, group: str, solver: str, service: tuple[str, str], serving: KeyPair | None = None
    ) -> DnsWebhook:
        """Start a DNS webhook; see `DnsWebhook`. It is built first if it has to be.

        Raises:
            BedError: There is one already, it cannot be built, or did not start.
        """
        if DnsWebhook.program in self._places:
            raise BedError("The bed has a DNS webhook already", remedy="end it with end_dns_webhook")
        self._programs |= find_or_build((DnsWebhook.program,), self._display)
        site = replace(self._site, programs=self._programs)
        webhook = DnsWebhook(site, self.apiserver, group=group, solver=solver, service=service, serving=serving)
        self._add(webhook, "kube-apiserver")
        webhook.start()
        return webhook

    def start_cert_manager(self) -> CertManager:
        """Start cert-manager's controllers; see `CertManager`. They are built first if they have to be.

        Raises:
            BedError: They are there already, cannot be built, or did not start.
        """
        if CertManager.program in self._places:
            raise BedError("The bed has a cert-manager already", remedy="end it with end_cert_manager")
        self._programs |= find_or_build((CertManager.program,), self._display)
        started = CertManager(replace(self._site, programs=self._programs), self.apiserver, self.bind)
        self._add(started, "kube-apiserver", "bind")
        started.start()
        return started

    def end_cert_manager(self) -> None:
        """End cert-manager, and forget it."""
        self._end(CertManager.program)

    def start_powerdns(self, zones: Sequence[str]) -> PowerDns:
        """Start PowerDNS for zones of its own; see `PowerDns`. It is installed first if it has to be.

        Raises:
            BedError: There is one already, it cannot be installed, or did not start.
        """
        return self._start_name_server(PowerDns, zones)

    def start_knot(self, zones: Sequence[str]) -> Knot:
        """Start Knot DNS for zones of its own; see `Knot`. It is installed first if it has to be.

        Raises:
            BedError: There is one already, it cannot be installed, or did not start.
        """
        return self._start_name_server(Knot, zones)

    def end_name_server(self, server: NameServer) -> None:
        """End a name server that was started here, and forget it."""
        self._end(server.name)

    def _start_name_server(self, kind: type[_Server], zones: Sequence[str]) -> _Server:
        if kind.program in self._places:
            raise BedError(f"The bed has a {kind.program} already", remedy="end it with end_name_server")
        self._programs |= find_or_install((kind.program,), self._display)
        server = kind(replace(self._site, programs=self._programs), zones)
        self._add(server)
        server.start()
        return server

    def end_dns_webhook(self) -> None:
        """End the DNS webhook, and forget it."""
        self._end(DnsWebhook.program)

    def end_step_ca(self) -> None:
        """End step-ca, and forget it."""
        self._end(StepCa.program)

    def end_pebble(self, pebble: Pebble) -> None:
        """End a Pebble that `start_pebble` started, and forget it."""
        self._more_pebbles.pop(pebble.name, None)
        self._end(pebble.name)

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as administrator and return its standard output.

        Raises:
            CommandFailed: it ended with an error and `check` is set.
        """
        return Kubectl(self._site.programs["kubectl"], self.kubeconfig).run(*arguments, stdin=stdin, check=check)

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Apply objects by one `kubectl apply`, as a user would.

        Raises:
            CommandFailed: the API server refused one.
        """
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def apply_crds(self, *paths: Path) -> None:
        """Apply the CRDs of these files and folders, or else the project's; wait until the API server serves them.

        Raises:
            CommandFailed: it refused them.
        """
        Kubectl(self._site.programs["kubectl"], self.kubeconfig).apply_crds(*paths or (PROJECT / "crds",))

    @contextmanager
    def crds(self, *paths: Path) -> Iterator[None]:
        """Apply the CRDs of these files, as `apply_crds`, and remove them in the end; wait until they are gone."""
        self.apply_crds(*paths)
        try:
            yield
        finally:
            files = [word for path in paths for word in ("-f", str(path))]
            self.kubectl("delete", *files, "--ignore-not-found", "--wait")

    def request_counts(self) -> Counter[RequestKind]:
        """Return how many requests the API server has answered so far; subtract two of these to count."""
        tls = self.authority.client_context(self.apiserver.admin)
        text = fetch(f"{self.apiserver.url}/metrics", tls=tls, timeout=METRICS_TIMEOUT).body.decode()
        return parse_request_counts(text)

    def write_kubeconfig(self, path: Path, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig for `user` in `groups` (its rights are up to RBAC) and return its path."""
        return self.apiserver.write_kubeconfig(path, user, groups)

    def _assemble(self) -> None:
        self._programs = programs_for(self.options, self._display)
        self._site = Site(
            folder=self.folder,
            authority=BedAuthority(self.folder / "ca"),
            programs=self._programs,
            ports=allocator,
            die_with_us=not self._detached,
            changed=self._save,
            abort=self._abort,
            address=ADDRESS if self.options.node else LOOPBACK,
            listen=EVERY_ADDRESS if self.options.node else LOOPBACK,
        )
        self._places = dict(assemble(self._site, self.options))

    def _add_pebble(self, name: str, options: PebbleOptions) -> Pebble:
        ingress = self.traefik if self.options.ingress else None
        pebble = Pebble(self._site, options, bind=self.bind, ingress=ingress, name=name)
        self._more_pebbles[name] = options
        self._add(pebble, "bind")
        return pebble

    def _add(self, part: Part, *after: str) -> None:
        self._places = {**self._places, part.name: Place(part, after)}

    def _end(self, name: str) -> None:
        self.parts[name].stop()
        self._places = {other: place for other, place in self._places.items() if other != name}
        self._save()

    def _save(self) -> None:
        with self._writing, suppress(FileNotFoundError):
            write_state(
                self.folder,
                BedState(
                    options=self.options,
                    more_pebbles=self._more_pebbles,
                    parts={
                        name: PartState(part.ports, part.process.identity if part.process else None, part.start_seconds)
                        for name, part in self.parts.items()
                    },
                    up=self._up,
                    up_seconds=self.up_seconds,
                ),
            )
