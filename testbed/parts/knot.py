"""Knot DNS: authoritative, with RFC 2136 updates of TXT records that are signed by TSIG."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Final

from testbed.parts.bind import TsigKey
from testbed.parts.name_server import NameServer, zone_text
from testbed.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.part import Site

KEY_NAME: Final = "certwright"


class Knot(NameServer):
    """knotd for some zones."""

    program = "knotd"

    def __init__(self, site: Site, zones: Sequence[str]) -> None:
        super().__init__(site, self.program, zones)
        self.tsig_key = TsigKey("hmac-sha256", base64.b64encode(secrets.token_bytes(32)).decode())

    def command(self) -> Sequence[str | Path]:
        """Write the configuration and missing zones, and return the command line."""
        for zone in self.zones:
            path = self.folder / f"{zone}.zone"
            if not path.exists():
                path.write_text(zone_text(zone, self.site.address))
        configuration = self.folder / "knot.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(self._configuration())
        return [self.site.programs[self.program], "-c", configuration]

    def _configuration(self) -> str:
        listen = "".join(
            f"    listen: {address}@{self.ports['main']}\n" for address in sorted({LOOPBACK, self.site.address})
        )
        zones = "".join(f'  - domain: {zone}\n    file: "{zone}.zone"\n    acl: acme\n' for zone in self.zones)
        return f"""\
server:
    rundir: "{self.folder}"
{listen}database:
    storage: "{self.folder}"
log:
  - target: stderr
    any: info
key:
  - id: {KEY_NAME}
    algorithm: {self.tsig_key.algorithm}
    secret: {self.tsig_key.secret}
acl:
  - id: acme
    key: {KEY_NAME}
    action: update
    update-type: TXT
template:
  - id: default
    storage: "{self.folder}"
zone:
{zones}"""
