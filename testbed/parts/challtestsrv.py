"""Pebble's challenge test server: a DNS server and challenge responders with configurable answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from testbed.errors import CommandFailed
from testbed.part import Part
from testbed.ports import LOOPBACK
from testbed.web import answers, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class ChallengeTestServer(Part):
    """pebble-challtestsrv, configured over HTTP."""

    program = "pebble-challtestsrv"
    port_names = ("management", "http", "https", "tlsalpn", "dns")

    @property
    def management_url(self) -> str:
        """Base URL of the management interface."""
        return f"http://{LOOPBACK}:{self.ports['management']}"

    @property
    def dns_address(self) -> str:
        """Address of its DNS server as "host:port", for TCP and UDP."""
        return f"{LOOPBACK}:{self.ports['dns']}"

    def post(self, command: str, **arguments: object) -> bytes:
        """Send a command such as "set-txt" with its JSON members.

        Raises:
            CommandFailed: it refused.
        """
        body = json.dumps(arguments).encode()
        answer = fetch(f"{self.management_url}/{command}", method="POST", body=body)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise CommandFailed(
                f"{self.name} answered {command} with {answer.status}", details=answer.body[:500].decode()
            )
        return answer.body

    def command(self) -> Sequence[str | Path]:
        """Return the command line."""
        return [
            self.site.programs["pebble-challtestsrv"],
            "-management",
            f"{LOOPBACK}:{self.ports['management']}",
            "-http01",
            f"{LOOPBACK}:{self.ports['http']}",
            "-https01",
            f"{LOOPBACK}:{self.ports['https']}",
            "-tlsalpn01",
            f"{LOOPBACK}:{self.ports['tlsalpn']}",
            "-dnsserver",
            self.dns_address,
            "-doh",
            "",
            "-defaultIPv6",
            "",
        ]

    def ready(self) -> bool:
        """Ask its management interface, which knows nothing at the root."""
        return answers(f"{self.management_url}/", status=404)
