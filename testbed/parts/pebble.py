"""Pebble, the ACME CA."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING

from testbed.errors import CommandFailed
from testbed.part import Part, Site
from testbed.ports import LOOPBACK
from testbed.web import answers, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed.certificates import KeyPair
    from testbed.options import PebbleOptions
    from testbed.parts.bind import Bind
    from testbed.parts.traefik import Traefik

# A port where nothing listens: without an ingress controller, validations over HTTP fail at once.
DISCARD_PORT = 9
NEW_ORDER = ("POST", "/order-plz")
"""How a proxy in front of it counts orders."""


class Pebble(Part):
    """A CA that loses everything when it stops: accounts, orders and its root."""

    program = "pebble"
    port_names = ("acme", "management")

    def __init__(
        self,
        site: Site,
        options: PebbleOptions,
        *,
        bind: Bind,
        ingress: Traefik | None,
        name: str | None = None,
    ) -> None:
        super().__init__(site, name)
        self.options = options
        self._bind = bind
        self._ingress = ingress

    @property
    def directory_url(self) -> str:
        """Where ACME clients begin."""
        return f"https://{self.site.address}:{self.ports['acme']}/dir"

    @property
    def management_url(self) -> str:
        """Base URL of the management interface."""
        return f"https://{LOOPBACK}:{self.ports['management']}"

    @property
    def ca_bundle(self) -> Path:
        """File with the CA that signed Pebble's own TLS certificate (not the one it issues from)."""
        return self.site.authority.certificate_path

    @property
    def ca_bundle_pem(self) -> bytes:
        """The content of `ca_bundle`."""
        return self.site.authority.pem

    def root_pem(self, number: int = 0) -> bytes:
        """Return the PEM of the root that it issues from; `number` counts the alternate chains.

        Raises:
            CommandFailed: there is no such root.
        """
        return self._manage(f"/roots/{number}")

    def certificate_status(self, serial: int) -> dict[str, object]:
        """Return what it knows of the certificate with this serial number: Certificate, Serial, Status.

        Raises:
            CommandFailed: it issued no such certificate.
        """
        answer: dict[str, object] = json.loads(self._manage(f"/cert-status-by-serial/{serial:x}"))
        return answer

    def set_renewal_info(self, certificate_pem: str, response: str) -> None:
        """Set the body of the renewal information (ARI) of a certificate to any text.

        Raises:
            CommandFailed: it issued no such certificate.
        """
        body = json.dumps({"Certificate": certificate_pem, "ARIResponse": response}).encode()
        self._manage("/set-renewal-info/", method="POST", body=body)

    def command(self) -> Sequence[str | Path]:
        """Write the configuration and return the command line."""
        path = self.folder / "pebble.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps({"pebble": self._configuration()}, indent=2))
        return [
            self.site.programs["pebble"],
            "-config",
            path,
            "-strict",
            "-dnsserver",
            self.options.dns_server or self._bind.address,
        ]

    def environment(self) -> dict[str, str]:
        """Return the settings that Pebble takes from its environment."""
        options = self.options
        return {
            "PEBBLE_WFE_NONCEREJECT": str(options.nonce_reject_percent),
            "PEBBLE_AUTHZREUSE": str(options.authz_reuse_percent),
            "PEBBLE_ALTERNATE_ROOTS": str(options.alternate_roots),
            "PEBBLE_CHAIN_LENGTH": str(options.chain_length),
            **({} if options.validation_sleeps else {"PEBBLE_VA_NOSLEEP": "1"}),
        }

    def ready(self) -> bool:
        """Ask for the directory and for the root."""
        tls = self.site.authority.client_context()
        return answers(self.directory_url, tls=tls) and answers(f"{self.management_url}/roots/0", tls=tls)

    @cached_property
    def _tls(self) -> KeyPair:
        return self.site.authority.server(self.name, [self.site.address])

    def _configuration(self) -> dict[str, object]:
        options = self.options
        http_port, tls_port = options.http_port, options.tls_port
        if self._ingress is not None:
            http_port = http_port or self._ingress.ports["http"]
            tls_port = tls_port or self._ingress.ports["https"]
        return {
            "listenAddress": f"{self.site.listen}:{self.ports['acme']}",
            "managementListenAddress": f"{LOOPBACK}:{self.ports['management']}",
            "certificate": str(self._tls.certificate),
            "privateKey": str(self._tls.key),
            "httpPort": http_port or DISCARD_PORT,
            "tlsPort": tls_port or DISCARD_PORT,
            "externalAccountBindingRequired": options.eab_required,
            "externalAccountMACKeys": options.eab_keys,
            "caaIdentities": ["pebble.test"],
            "domainBlocklist": list(options.blocked_domains),
            "keyAlgorithm": options.key_algorithm,
            "retryAfter": {"authz": options.retry_after_authz, "order": options.retry_after_order},
            "profiles": {
                name: {"description": profile.description, "validityPeriod": profile.validity_seconds}
                for name, profile in options.profiles.items()
            },
        }

    def _manage(self, path: str, *, method: str = "GET", body: bytes | None = None) -> bytes:
        url = f"{self.management_url}{path}"
        answer = fetch(url, tls=self.site.authority.client_context(), method=method, body=body)
        if answer.status != 200:  # noqa: PLR2004 - HTTP's own number
            raise CommandFailed(
                f"{self.name} answered {method} {path} with {answer.status}",
                details=answer.body[:500].decode(),
            )
        return answer.body
