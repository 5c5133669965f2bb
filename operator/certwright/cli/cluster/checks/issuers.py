"""The issuers, and whether their CAs and DNS servers can be reached from here."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.checks.result import Result
from certwright.cli.cluster.views import IssuerView, at
from certwright.kube.errors import Forbidden, NotFound
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.cli.cluster.connection import Session

MAX_ISSUERS: Final = 200
AT_ONCE: Final = 8
QUESTION: Final = "example.com"
"""Whatever a server says of it, it has answered."""
SECONDS: Final = 10.0
FROM_HERE: Final = "from here; the operator's pod may have another way"


async def check_issuers(connected: Session) -> list[Result]:
    """Tell which issuers are Ready, and what can be reached of what they need."""
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
    if not found:
        return [*results, Result("warn", "issuers", f"there is none for {connected.namespace}: create an Issuer")]
    results += [_check_ready(one) for one in found]
    return [*results, *await _all(_authorities(found)), *await _all(_name_servers(found))]


def _check_ready(issuer: IssuerView) -> Result:
    if issuer.ready == "True":
        return Result("pass", issuer.label, f"Ready, account {issuer.account or 'unknown'}")
    return Result("fail" if issuer.is_seen else "warn", issuer.label, f"not Ready ({issuer.reason}): {issuer.message}")


def _authorities(issuers: Sequence[IssuerView]) -> list[Any]:
    """Return the checks of CAs, each once."""
    known: dict[tuple[str, str, bool], Any] = {}
    for one in issuers:
        acme = at(one.body, "spec", "acme")
        key = (one.server, str(at(acme, "caBundle") or ""), at(acme, "skipTLSVerify") is True)
        known.setdefault(key, check_authority(*key))
    return [check for (server, _, _), check in known.items() if server]


async def check_authority(server: str, bundle: str, skip: bool) -> Result:  # noqa: FBT001 - as the issuer has it
    """Tell whether a CA's directory can be read from here."""
    from certwright.acme import AcmeError, AcmeServer, HttpxTransport  # noqa: PLC0415 - only for this command
    from certwright.http.addresses import AddressPolicy  # noqa: PLC0415

    name = f"CA {printable(server, 200)}"
    try:
        pem = base64.b64decode("".join(bundle.split())).decode("ascii", "replace") if bundle else None
        # Anybody may write an issuer: it must not lead this machine to a metadata service.
        transport = HttpxTransport(ca_bundle=pem, verify=not skip, trust_env=True, addresses=AddressPolicy())
        async with asyncio.timeout(SECONDS), transport:
            directory = await AcmeServer(server, transport).directory()
    except TimeoutError:
        return Result("warn", name, f"does not answer within {SECONDS:g} s {FROM_HERE}")
    except (AcmeError, ValueError) as error:
        return Result("warn", name, f"{printable(str(error))} ({FROM_HERE})")
    profiles = f", profiles {', '.join(sorted(directory.meta.profiles))}" if directory.meta.profiles else ""
    return Result("pass", name, f"answers{printable(profiles, 200)}")


def _name_servers(issuers: Sequence[IssuerView]) -> list[Any]:
    servers = dict.fromkeys(server for one in issuers for server in one.name_servers)
    return [check_name_server(server) for server in servers]


async def check_name_server(text: str) -> Result:
    """Tell whether a DNS server answers from here; any answer will do."""
    from certwright.dns import DnsError  # noqa: PLC0415 - only for this command
    from certwright.dns.endpoint import Server  # noqa: PLC0415
    from certwright.dns.query import Questioner  # noqa: PLC0415

    name = f"DNS server {printable(text, 200)}"
    try:
        async with asyncio.timeout(SECONDS):
            endpoints = await Server.parse(text).endpoints(seconds=SECONDS)
            await Questioner().ask(endpoints[0], QUESTION, "SOA", recursive=False)
    except TimeoutError:
        return Result("warn", name, f"does not answer within {SECONDS:g} s {FROM_HERE}")
    except DnsError as error:
        return Result("warn", name, f"{printable(str(error))} ({FROM_HERE})")
    return Result("pass", name, "answers")


async def _all(checks: Sequence[Any]) -> list[Result]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(check: Any) -> Result:
        async with limit:
            found: Result = await check
            return found

    return list(await asyncio.gather(*(one(check) for check in checks)))
