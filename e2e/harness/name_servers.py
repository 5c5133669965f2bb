"""The name servers of zones in trouble, each at an address of its own, and a resolver that asks them.

The servers of a zone share a port, as all of the world share port 53. Knot listens at any address of the loopback
network; BIND only at those that the interface has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

import dns.exception
import dns.message
import dns.query

from testbed.debian import find_or_install
from testbed.part import Part
from testbed.ports import LOOPBACK
from testbed.progress import reporter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from testbed.bed import TestBed

PROBE_SECONDS: Final = 1.0
STOP_SECONDS: Final = 1.0


class Server(Part):
    """A name server at an address and a port.

    Args:
        bed: Whose folder it uses.
        listens_at: Its address.
        port: Where it listens.
        files: Further files in its folder, by name.
    """

    stop_grace: ClassVar[float] = STOP_SECONDS

    def __init__(self, bed: TestBed, listens_at: str, port: int, files: Mapping[str, str]) -> None:
        site = bed.bind.site
        programs = {**site.programs, **find_or_install((self.program,), reporter())}
        super().__init__(replace(site, programs=programs), f"{self.program}-{listens_at}-{port}")
        self.fixed_ports = {"main": port}
        self.listens_at, self._files = listens_at, files

    @property
    def address(self) -> str:
        """Address as `host:port`."""
        return f"{self.listens_at}:{self.fixed_ports['main']}"

    def ready(self) -> bool:
        """Whether it answers anything."""
        question = dns.message.make_query("nowhere.test", "SOA")
        try:
            dns.query.tcp(question, self.listens_at, port=self.fixed_ports["main"], timeout=PROBE_SECONDS)
        except (OSError, EOFError, dns.exception.DNSException):
            return False
        return True

    def configured(self, name: str, text: str) -> Path:
        """Write the configuration and the other files; return the path of the first."""
        for file, content in self._files.items():
            (self.folder / file).write_text(content)
        configuration = self.folder / name
        configuration.touch(mode=0o600)
        configuration.write_text(text)
        return configuration


class ZoneServer(Server):
    """Knot, authoritative for zones that take updates signed with the key of the bed's BIND.

    Args:
        bed: Whose key it takes.
        listens_at: Its address.
        port: Where it listens.
        zones: Its zones, as the section `zone` of knot.conf has them.
        files: Zone files, by name.
        second: The address of the server that gets the changes of the zones with `notify: second`.
        first: The address of the one that zones with `master: first` come from.
    """

    program = "knotd"

    def __init__(
        self,
        bed: TestBed,
        listens_at: str,
        port: int,
        *,
        zones: str,
        files: Mapping[str, str],
        first: str,
        second: str,
    ) -> None:
        super().__init__(bed, listens_at, port, files)
        self._key_name, self._key = bed.bind.main_key
        self._zones, self._first, self._second = zones, first, second

    def command(self) -> Sequence[str | Path]:
        """Write the configuration and the zones, and return the command line."""
        port = self.fixed_ports["main"]
        configuration = self.configured(
            "knot.conf",
            f"""\
server:
    rundir: "{self.folder}"
    listen: {self.listens_at}@{port}
database:
    storage: "{self.folder}"
log:
  - target: stderr
    any: info
key:
  - id: {self._key_name}
    algorithm: {self._key.algorithm}
    secret: {self._key.secret}
remote:
  - id: first
    address: {self._first}@{port}
  - id: second
    address: {self._second}@{port}
acl:
  - id: update
    key: {self._key_name}
    action: update
  - id: copy
    address: 127.0.0.0/8
    action: [transfer, notify]
template:
  - id: default
    storage: "{self.folder}"
    acl: [update, copy]
zone:
{self._zones}""",
        )
        return [self.site.programs[self.program], "-c", configuration]


class ZoneResolver(Server):
    """BIND as a resolver that asks given servers, at its own port, for given zones, and no others.

    Args:
        bed: Whose BIND it is.
        port: Where it listens, and where it asks.
        servers: The address of the server of each zone.
        bogus: Zones for which it has a key that signs nothing there, as after a wrong DS record at their parent.
    """

    program = "named"

    def __init__(self, bed: TestBed, port: int, servers: Mapping[str, str], bogus: Sequence[str] = ()) -> None:
        super().__init__(bed, LOOPBACK, port, {})
        self._servers, self._bogus = servers, bogus

    def command(self) -> Sequence[str | Path]:
        """Write the configuration, and return the command line."""
        port = self.fixed_ports["main"]
        zones = "".join(
            f'zone "{name}" {{ type forward; forward only; forwarders {{ {address} port {port}; }}; }};\n'
            for name, address in self._servers.items()
        )
        anchors = "".join(f'trust-anchors {{ "{name}" static-ds 1 13 2 "{"0" * 64}"; }};\n' for name in self._bogus)
        configuration = self.configured(
            "named.conf",
            f"""\
options {{
    directory "{self.folder}";
    pid-file "{self.folder}/named.pid";
    session-keyfile "{self.folder}/session.key";
    managed-keys-directory "{self.folder}";
    listen-on port {port} {{ {LOOPBACK}; }};
    listen-on-v6 {{ none; }};
    recursion yes;
    dnssec-validation {"yes" if anchors else "no"};
    empty-zones-enable no;
}};
controls {{ }};
{anchors}{zones}""",
        )
        return [self.site.programs[self.program], "-c", configuration, "-f", "-g", "-n", "1"]
