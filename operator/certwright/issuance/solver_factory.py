"""Solvers made from an issuer's spec, with the credentials read from where the issuer's Secrets are."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from certwright.dns import DnsView
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from certwright.dns.tsig import TsigKey
from certwright.issuance.failures import IssuanceError
from certwright.issuance.secret_facts import decoded
from certwright.solvers.dns01 import Dns01Solver

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.issuance.issuer_registry import ReadyIssuer
    from certwright.kube.gateway import Gateway
    from certwright.resources import Dns01, Rfc2136, Solver

KEPT_SECONDS: Final = 10.0
"""A hundred Certificates applied at once read a credential once; a corrected one is seen after this time."""


class SolverFactory:
    """Makes solvers, and keeps each for a few seconds.

    Args:
        gateway: Where credentials are read.
        monotonic: The clock, in seconds.
    """

    def __init__(self, gateway: Gateway, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._monotonic = monotonic
        self._kept: dict[tuple[str, int, int], tuple[float, asyncio.Task[Dns01Solver]]] = {}

    async def dns01(self, issuer: ReadyIssuer, solver: Solver, name: str) -> Dns01Solver:
        """Return the dns-01 solver for a name.

        Args:
            issuer: Whose solver and credentials it is.
            solver: One of the issuer's.
            name: What it is for, for the error.

        Raises:
            IssuanceError: The solver is not dns-01, or its credentials are missing.
            DnsError: A server's address or a key cannot be used.
            KubeError: The credentials cannot be read.
        """
        if solver.dns01 is None:
            raise IssuanceError(
                "SolverNotSupported",
                f"The solver for {name} is http01, which this version of Certwright cannot serve. Use a dns01 solver.",
            )
        key = (issuer.uid, issuer.generation, issuer.spec.solvers.index(solver))
        now = self._monotonic()
        self._kept = {known: entry for known, entry in self._kept.items() if entry[0] > now}
        if key not in self._kept:
            # A task, for all who ask while the credential is being read, and not ended with the first of them.
            making = asyncio.create_task(self._make(issuer, solver.dns01))
            making.add_done_callback(lambda done: self._made(key, done))
            self._kept[key] = (now + KEPT_SECONDS, making)
        return await asyncio.shield(self._kept[key][1])

    async def _make(self, issuer: ReadyIssuer, spec: Dns01) -> Dns01Solver:
        view = DnsView(
            resolvers=spec.nameservers or None,
            authoritative=spec.authoritative_nameservers or None,
        )
        provider = await self._rfc2136(issuer, spec, view)
        return Dns01Solver(provider, view, follow_cname=spec.cname_strategy == "Follow")

    def _made(self, key: tuple[str, int, int], making: asyncio.Task[Dns01Solver]) -> None:
        if making.cancelled() or making.exception() is not None:
            entry = self._kept.get(key)
            if entry is not None and entry[1] is making:
                del self._kept[key]

    async def _rfc2136(self, issuer: ReadyIssuer, dns01: Dns01, view: DnsView) -> Rfc2136Provider:
        spec = dns01.rfc2136
        if spec is None:
            raise IssuanceError("SolverNotSupported", f"The dns01 solver of {issuer.key} names no provider.")
        return Rfc2136Provider(
            spec.nameserver,
            tsig=await self._tsig_key(issuer, spec),
            protocol=spec.protocol,
            zones=view.find_zone,
        )

    async def _tsig_key(self, issuer: ReadyIssuer, spec: Rfc2136) -> TsigKey | None:
        reference = spec.tsig_secret_secret_ref
        if reference is None or spec.tsig_key_name is None:
            return None
        place = f"Secret {issuer.secrets_namespace}/{reference.name}"
        found = await self._gateway.read_secret(issuer.secrets_namespace, reference.name)
        if found is None:
            raise IssuanceError(
                "CredentialsMissing",
                f"{place}, which {issuer.key} names in tsigSecretSecretRef, does not exist. Create it with the TSIG "
                f"secret in the entry {reference.key}.",
            )
        secret = decoded(found.get("data") or {}, reference.key)
        if not secret:
            raise IssuanceError(
                "CredentialsMissing", f"{place} has no entry {reference.key}. Put the TSIG secret there."
            )
        return TsigKey(
            spec.tsig_key_name,
            secret.decode("ascii", "replace"),
            spec.tsig_algorithm,
            source=f"the entry {reference.key} of {place}",
        )
