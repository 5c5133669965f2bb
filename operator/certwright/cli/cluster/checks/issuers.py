"""The issuers, and whether the CAs and DNS servers that they need can be reached from here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.checks.authorities import check_authorities
from certwright.cli.cluster.checks.result import FROM_HERE, SECONDS, Result, at_once
from certwright.cli.cluster.views import IssuerView
from certwright.kube.errors import Forbidden, NotFound
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.cli.cluster.checks.operator import Operator
    from certwright.cli.cluster.connection import Session

MAX_ISSUERS: Final = 200
QUESTION: Final = "example.com"
"""Whatever a server says of it, it has answered."""


async def check_issuers(connected: Session, operator: Operator) -> list[Result]:
    """Tell which issuers are Ready, and what can be reached of what they need.

    Args:
        connected: The API server.
        operator: Where it runs.
    """
    found: list[IssuerView] = []
    results: list[Result] = []
    for kind, plural, namespace in (
        ("Issuer", "issuers", connected.namespace),
        ("ClusterIssuer", "clusterissuers", None),
    ):
        try:
            listed = await connected.list_all(plural, namespace, most=MAX_ISSUERS)
        except (Forbidden, NotFound) as error:
            results.append(Result("warn", f"{kind}s", f"cannot be listed: {error}"))
            continue
        found += [IssuerView(body, kind) for body in listed.items]
    if not found and results:
        return results  # there may be some: they cannot be listed
    if not found:
        return [Result("warn", "issuers", f"there is none for {connected.namespace}: create an Issuer")]
    results += [_check_ready(one) for one in found]
    results += [
        Result("warn", one.label, f"{kind}: {condition.message}")
        for one in found
        for kind, condition in one.more
        if kind == "OrphanedRecords"
    ]
    authorities, servers = await asyncio.gather(
        check_authorities(connected, found, operator), at_once(_name_servers(found))
    )
    return [*results, *authorities, *servers]


def _check_ready(issuer: IssuerView) -> Result:
    if issuer.ready == "True":
        return Result("pass", issuer.label, f"Ready, account {issuer.account or 'unknown'}")
    return Result("fail" if issuer.is_seen else "warn", issuer.label, f"not Ready ({issuer.reason}): {issuer.message}")


def _name_servers(issuers: Sequence[IssuerView]) -> list[Any]:
    servers = dict.fromkeys(server for one in issuers for server in one.name_servers)
    return [check_name_server(server) for server in servers]


async def check_name_server(text: str) -> Result:
    """Tell whether a DNS server answers from here; any answer will do."""
    from certwright.dns import DnsError
    from certwright.dns.endpoint import Server
    from certwright.dns.query import Questioner

    name = f"DNS server {printable(text, 200)}"
    try:
        async with asyncio.timeout(SECONDS):
            endpoints = await Server.parse(text).endpoints(seconds=SECONDS)
            await Questioner().ask(endpoints[0], QUESTION, "SOA", recursive=False)
    except TimeoutError:
        return Result("warn", name, f"does not answer within {SECONDS:g} s, {FROM_HERE}")
    except DnsError as error:
        return Result("warn", name, f"{printable(str(error))}, {FROM_HERE}")
    return Result("pass", name, "answers this machine")
