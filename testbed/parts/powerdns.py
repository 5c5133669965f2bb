"""PowerDNS Authoritative Server with its HTTP API, on SQLite."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.parts.name_server import TTL, NameServer
from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.part import Site

SCHEMA: Final = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
"""Of Debian's package."""


class PowerDns(NameServer):
    """pdns_server for some zones.

    Attributes:
        api_key: Of its API.
    """

    program = "pdns_server"
    port_names = ("main", "api")

    def __init__(self, site: Site, zones: Sequence[str]) -> None:
        super().__init__(site, self.program, zones)
        self.api_key = secrets.token_hex(16)

    def command(self) -> Sequence[str | Path]:
        """Write the configuration and a missing database, and return the command line."""
        database = self.folder / "zones.sqlite3"
        if not database.exists():
            self._fill(database)
        configuration = self.folder / "pdns.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(f"""\
launch=gsqlite3
gsqlite3-database={database}
socket-dir={self.folder}
local-address={",".join(sorted({LOOPBACK, self.site.address}))}
local-port={self.ports["main"]}
daemon=no
guardian=no
api=yes
api-key={self.api_key}
webserver=yes
webserver-address={LOOPBACK}
webserver-port={self.ports["api"]}
webserver-allow-from={LOOPBACK}
""")
        return [self.site.programs[self.program], f"--config-dir={self.folder}"]

    def _fill(self, database: Path) -> None:
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.executescript(SCHEMA.read_text())
            for number, zone in enumerate(self.zones, start=1):
                connection.execute("INSERT INTO domains (id, name, type) VALUES (?, ?, 'NATIVE')", (number, zone))
                records = [
                    (zone, "SOA", f"ns1.{zone} hostmaster.{zone} 1 60 60 3600 {TTL}"),
                    (zone, "NS", f"ns1.{zone}"),
                    (zone, "A", self.site.address),
                    (f"ns1.{zone}", "A", self.site.address),
                    (f"*.{zone}", "A", self.site.address),
                ]
                connection.executemany(
                    "INSERT INTO records (domain_id, name, type, content, ttl, disabled, auth) "
                    "VALUES (?, ?, ?, ?, ?, 0, 1)",
                    [(number, name, kind, content, TTL) for name, kind, content in records],
                )
