"""Checks whether the directories of the issuers' CAs can be read from here, with the issuers' connection settings."""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from certwright.cli.cluster.checks.result import FROM_HERE, SECONDS, Result, at_once
from certwright.kube.errors import KubeError
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.cli.cluster.checks.operator import Operator
    from certwright.cli.cluster.connection import Session
    from certwright.cli.cluster.views import IssuerView
    from certwright.issuers.authorities import Authority
    from certwright.resources import AcmeIssuerSpec

LONGEST: Final = 60.0
"""Seconds for one CA at most, however patient its issuer is."""


@dataclass(frozen=True)
class Way:
    """How issuers reach a CA.

    Attributes:
        authority: Its URL and the connection.
        by: The parts of it that the issuers set, in words.
        seconds: How long to wait for it.
    """

    authority: Authority
    by: tuple[str, ...]
    seconds: float


async def check_authorities(connected: Session, issuers: Sequence[IssuerView], operator: Operator) -> list[Result]:
    """Tell which CAs answer this machine, each once for each way there.

    Args:
        connected: The API server, which has the Secrets that issuers name.
        issuers: The issuers.
        operator: Where it runs: ClusterIssuers have their Secrets there.
    """
    ways: dict[Authority, Way] = {}
    results: list[Result] = []
    for found in await at_once([_way_of(connected, one, operator) for one in issuers]):
        if isinstance(found, Result):
            results.append(found)
        else:
            ways.setdefault(found.authority, found)
    loopback = _is_loopback(connected.server)
    return [*results, *await at_once([check_authority(way, allow_loopback=loopback) for way in ways.values()])]


async def _way_of(connected: Session, issuer: IssuerView, operator: Operator) -> Way | Result:
    """Return how an issuer reaches its CA, or what keeps that from being known."""
    # Only for this command: the models take a tenth of a second to load.
    from certwright.failures import IssuanceError
    from certwright.issuers.connection import authority_of
    from certwright.issuers.credentials import SecretReader
    from certwright.kube.api import KubeApi
    from certwright.resources import ClusterIssuer, InvalidResource, Issuer
    from certwright.resources.group import GROUP, VERSION
    from certwright.runtime.key import Key

    name = f"CA of {issuer.label}"
    try:
        kind = Issuer if issuer.kind == Issuer.KIND else ClusterIssuer
        spec = kind.parse(issuer.body).spec.acme
        api = KubeApi(connected.client, group=GROUP, version=VERSION)
        place = issuer.namespace or operator.namespace
        reader = SecretReader(api, Key(kind.KIND, issuer.namespace or "", issuer.name), place)
        authority = await authority_of(spec, reader)
    except InvalidResource as error:
        return Result("warn", name, f"not checked, as this version cannot read its spec: {printable(str(error), 500)}")
    except IssuanceError as error:
        # Where the Secrets of a ClusterIssuer are may be a guess.
        return Result("fail" if issuer.namespace or operator.is_known else "warn", name, printable(error.message))
    except KubeError as error:
        return Result("warn", name, f"not checked, as what it connects with cannot be read: {error}")
    return Way(authority, _parts(spec), _patience(spec))


def _parts(spec: AcmeIssuerSpec) -> tuple[str, ...]:
    """Return what an issuer sets of its connection, in words and without secrets."""
    found = []
    if spec.proxy is not None:
        found.append(f"through its proxy {urlsplit(spec.proxy.url).netloc}")
    if spec.client_certificate_secret_ref is not None:
        found.append(f"with the client certificate in Secret {spec.client_certificate_secret_ref.name}")
    if spec.ca_bundle is not None:
        found.append("trusting its caBundle")
    if spec.skip_tls_verify:
        found.append("with any server certificate (skipTLSVerify)")
    return tuple(found)


def _patience(spec: AcmeIssuerSpec) -> float:
    return SECONDS if spec.timeouts is None else min(spec.timeouts.total.total_seconds(), LONGEST)


async def check_authority(way: Way, *, allow_loopback: bool = True) -> Result:
    """Tell whether a CA's directory can be read from here.

    Args:
        way: The CA, and how to reach it.
        allow_loopback: Whether it, or its proxy, may be on this machine.
    """
    from certwright.acme import AcmeError, AcmeServer
    from certwright.http.addresses import AddressPolicy
    from certwright.issuers.authorities import transport_of

    name = f"CA {printable(way.authority.server, 200)}"
    by = "".join(f", {printable(one, 300)}" for one in way.by)
    try:
        # Anybody may write an issuer: it must not lead this machine to a metadata service, nor to itself.
        addresses = AddressPolicy(allow_loopback=allow_loopback)
        async with asyncio.timeout(way.seconds), transport_of(way.authority, addresses) as transport:
            directory = await AcmeServer(way.authority.server, transport).directory()
    except TimeoutError:
        return Result("warn", name, f"does not answer within {way.seconds:g} s{by}, {FROM_HERE}")
    except (AcmeError, ValueError) as error:
        return Result("warn", name, f"{printable(str(error))}{by}, {FROM_HERE}")
    profiles = f"; profiles {', '.join(sorted(directory.meta.profiles))}" if directory.meta.profiles else ""
    return Result("pass", name, f"answers this machine{by}{printable(profiles, 200)}")


def _is_loopback(url: str) -> bool:
    """Return whether an API server is on this machine: then its CAs may be as well, as in a test bed."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
