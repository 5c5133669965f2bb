"""Write your own solver: an application that already serves port 80 answers http-01 with one more route."""

import asyncio
import os
from collections.abc import Sequence

from aiohttp import web

from certwright.client import Proof, connect, issue

CA = os.environ.get("CA", "letsencrypt-staging")
NAME = os.environ.get("NAME", "www.example.com")
HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))


class ApplicationSolver:
    """Implements the four members of `certwright.client.Solver`, without inheriting from it."""

    challenge_type = "http-01"

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}

    async def present(self, proofs: Sequence[Proof]) -> None:
        self.answers |= {proof.http01_path: proof.key_authorization for proof in proofs}

    async def wait(self, proofs: Sequence[Proof]) -> None:
        """Do nothing; a solver that writes to a CDN would wait for it here."""

    async def clean_up(self, proofs: Sequence[Proof]) -> None:
        for proof in proofs:
            self.answers.pop(proof.http01_path, None)

    async def handle(self, request: web.Request) -> web.Response:
        answer = self.answers.get(request.path)
        return web.Response(text=answer) if answer else web.Response(status=404)


async def main() -> None:
    solver = ApplicationSolver()
    application = web.Application()
    application.router.add_get("/.well-known/acme-challenge/{token}", solver.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, port=HTTP_PORT).start()
    try:
        async with connect(CA) as client:
            await client.register(terms_of_service_agreed=True)
            certificate = await issue(client, [NAME], solvers=[solver])
        print(f"{NAME} until {certificate.not_after:%Y-%m-%d}; {len(solver.answers)} answers left behind")
    finally:
        await runner.cleanup()


asyncio.run(main())
