"""tls-alpn-01 through a router that passes TLS through by server name: Traefik, between a CA and the responder."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
import yaml

from certwright.challenges.holders import Holders
from certwright.challenges.response import FileResponse, TlsAlpnResponse
from certwright.challenges.tls_responder import TlsResponder
from certwright.http.addresses import AddressPolicy
from certwright.http01.tls_alpn01 import shared_tls_look_up
from certwright.http01.tls_check import TlsSelfCheck
from testbed.ports import allocator
from testbed.traefik_wheel import find_traefik

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from testbed.parts.bind import Bind

ROUTED = "a.example.test"


@contextlib.asynccontextmanager
async def traefik(folder: Path, port: int, backend: int, *, bypass: bool) -> AsyncIterator[None]:
    """Traefik with one route, as a TLSRoute makes it: by server name, TLS passed through."""
    service = {"loadBalancer": {"servers": [{"address": f"127.0.0.1:{backend}"}]}}
    router = {"rule": f"HostSNI(`{ROUTED}`)", "service": "solver", "entryPoints": ["tls"], "tls": {"passthrough": True}}
    dynamic = folder / "dynamic.yaml"
    dynamic.write_text(yaml.safe_dump({"tcp": {"routers": {"solver": router}, "services": {"solver": service}}}))
    running = await asyncio.create_subprocess_exec(
        find_traefik(),
        f"--entrypoints.tls.address=127.0.0.1:{port}",
        f"--entrypoints.tls.allowacmebypass={str(bypass).lower()}",
        f"--providers.file.filename={dynamic}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        running.terminate()
        await running.wait()


async def look(check: TlsSelfCheck, response: TlsAlpnResponse, *, complete: bool) -> str:
    last = "nothing"
    try:
        async with asyncio.timeout(30):
            while True:
                [seen] = await check.look([response])
                if seen.complete == complete and "refused" not in seen.seen:
                    return seen.seen
                last = seen.seen
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"in 30 s it saw at last: {last}")


async def test_a_handshake_gets_through_a_route_by_server_name_if_traefik_lets_it(bind: Bind, tmp_path: Path) -> None:
    answers: Holders[FileResponse] = Holders()
    response, other = (TlsAlpnResponse(name, "t", "t.thumb") for name in (ROUTED, "b.example.test"))
    await answers.hold("uid", [response, other])
    responder = TlsResponder(shared_tls_look_up(answers))
    backend = await responder.start("127.0.0.1", 0)
    port = allocator.take()
    policy = AddressPolicy(allow_loopback=True)
    check = TlsSelfCheck(port=port, nameservers=[bind.address], every_address=True, addresses=policy)
    try:
        async with traefik(tmp_path, port, backend, bypass=True):
            assert await look(check, response, complete=True) == "the validation certificate"
            assert await look(check, other, complete=False)
        # Traefik keeps these handshakes for itself unless it is told not to: docs/tls-alpn01.md says so.
        async with traefik(tmp_path, port, backend, bypass=False):
            assert "no TLS handshake" in await look(check, response, complete=False)
    finally:
        await responder.stop()
