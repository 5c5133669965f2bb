"""BIND 9: authoritative for the bed's zones, with RFC 2136 updates signed by TSIG."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
import dns.zone

from testbed.errors import CommandFailed
from testbed.parts.name_server import NameServer, zone_text
from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dns.rdtypes.ANY.TXT import TXT

    from testbed.part import Site

TRANSFER_TIMEOUT = 30.0
# BIND's names of the algorithms, with the number of bytes of their digests.
ALGORITHMS = {
    "hmac-md5": 16,
    "hmac-sha1": 20,
    "hmac-sha224": 28,
    "hmac-sha256": 32,
    "hmac-sha384": 48,
    "hmac-sha512": 64,
}
MAIN_KEY = "acme-hmac-sha256"
# Known to the server, and allowed nothing.
OUTSIDER_KEY = "outsider"


@dataclass(frozen=True)
class TsigKey:
    """A key for signed updates.

    Attributes:
        algorithm: as BIND and dnspython spell it, "hmac-sha256".
        secret: base64.
    """

    algorithm: str
    secret: str = field(repr=False)


class Bind(NameServer):
    """named for the bed's zones: every name below them has the address of the ingress controller."""

    program = "named"
    port_names = ("main", "https")

    def __init__(self, site: Site, zones: Sequence[str]) -> None:
        super().__init__(site, "bind", zones)
        self.tsig_keys = self._load_keys(self.folder / "keys.json")

    @property
    def https_url(self) -> str:
        """Where it is asked over HTTPS (RFC 8484), by HTTP/2 alone; the bed's authority has signed its certificate."""
        return f"https://{self.site.address}:{self.ports['https']}/dns-query"

    @property
    def main_key(self) -> tuple[str, TsigKey]:
        """Name and value of the default key."""
        return MAIN_KEY, self.tsig_keys[MAIN_KEY]

    def txt_records(self, zone: str) -> dict[str, list[str]]:
        """Return all TXT values of a zone by absolute name without trailing dot, by zone transfer.

        Raises:
            dns.exception.DNSException: the server refuses or does not know the zone.
            OSError: the server is down.
        """
        # dnspython 2.8 wants a zone object to be filled, relativized or not as the caller says.
        content = dns.zone.Zone(zone, relativize=False)
        query = dns.message.make_query(zone, dns.rdatatype.AXFR)
        dns.query.inbound_xfr(LOOPBACK, content, query, port=self.ports["main"], timeout=TRANSFER_TIMEOUT)
        found: dict[str, list[str]] = {}
        for name, _, record in content.iterate_rdatas(dns.rdatatype.TXT):
            value = b"".join(cast("TXT", record).strings).decode()
            found.setdefault(name.to_text(omit_final_dot=True), []).append(value)
        return {name: sorted(values) for name, values in sorted(found.items())}

    def change(self, zone: str, verb: Literal["add", "delete", "replace"], name: str, *record: str | int) -> None:
        """Change a zone as its owner would, by a signed update.

        Args:
            zone: without trailing dot.
            verb: one of dnspython's changes.
            name: relative to the zone, or absolute with a trailing dot.
            record: what `verb` takes: a TTL, a type, a value.

        Raises:
            CommandFailed: the server refused.
            OSError: the server is down.
        """
        key_name, key = self.main_key
        update = dns.update.UpdateMessage(zone, keyring=dns.tsig.Key(key_name, key.secret, key.algorithm))
        getattr(update, verb)(name, *record)
        answer = dns.query.tcp(update, LOOPBACK, port=self.ports["main"], timeout=TRANSFER_TIMEOUT)
        if answer.rcode() != dns.rcode.NOERROR:
            raise CommandFailed(f"BIND answered {dns.rcode.to_text(answer.rcode())} to an update of {zone}")

    def command(self) -> Sequence[str | Path]:
        """Write the configuration and missing zones, and return the command line."""
        for zone in self.zones:
            path = self._zone_file(zone)
            # On a restart the journal beside the file holds the updates: both stay as they are.
            if not path.exists():
                path.write_text(zone_text(zone, self.site.address))
        configuration = self.folder / "named.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(self._configuration())
        return [self.site.programs["named"], "-c", configuration, "-f", "-n", "1"]

    def _load_keys(self, path: Path) -> dict[str, TsigKey]:
        if not path.exists():
            names = {f"acme-{algorithm}": algorithm for algorithm in ALGORITHMS}
            keys = {
                name: [algorithm, base64.b64encode(secrets.token_bytes(ALGORITHMS[algorithm])).decode()]
                for name, algorithm in {**names, OUTSIDER_KEY: "hmac-sha256"}.items()
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(keys))
        return {name: TsigKey(*values) for name, values in json.loads(path.read_text()).items()}

    def _zone_file(self, zone: str) -> Path:
        return self.folder / f"{zone}.zone"

    def _configuration(self) -> str:
        keys = "".join(
            f'key "{name}" {{ algorithm {key.algorithm}; secret "{key.secret}"; }};\n'
            for name, key in self.tsig_keys.items()
        )
        allowed = " ".join(f'key "{name}";' for name in self.tsig_keys if name != OUTSIDER_KEY)
        zones = "".join(
            f'zone "{zone}" {{ type primary; file "{self._zone_file(zone)}";'
            f" allow-update {{ {allowed} }}; allow-transfer {{ {LOOPBACK}; }}; }};\n"
            for zone in self.zones
        )
        listen = " ".join(f"{address};" for address in sorted({LOOPBACK, self.site.address}))
        pair = self.site.authority.server("bind", [self.site.address])
        return f"""\
tls local {{ cert-file "{pair.certificate}"; key-file "{pair.key}"; }};
http local {{ endpoints {{ "/dns-query"; }}; }};
options {{
    directory "{self.folder}";
    pid-file "{self.folder}/named.pid";
    session-keyfile "{self.folder}/session.key";
    managed-keys-directory "{self.folder}";
    listen-on port {self.ports["main"]} {{ {listen} }};
    listen-on port {self.ports["https"]} tls local http local {{ {listen} }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    empty-zones-enable no;
    notify no;
    minimal-responses no;
}};
controls {{ }};
logging {{
    channel to_log {{ stderr; severity info; print-time yes; print-category yes; }};
    category default {{ to_log; }};
    category update {{ to_log; }};
    category update-security {{ to_log; }};
}};
{keys}{zones}"""
