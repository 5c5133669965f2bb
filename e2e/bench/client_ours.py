"""Issue certificates with our library, one after the other, and print what one costs as JSON.

A program of its own, so that nothing else is in its process.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

from certwright.client import Webroot, connect, issue

if TYPE_CHECKING:
    from certwright.acme import RequestRecord


async def main(directory: str, webroot: str, domain: str, runs: int) -> None:
    """Issue once to warm up, then so many times."""
    requests: list[RequestRecord] = []
    async with connect(directory, on_request=requests.append) as client:
        await client.register(terms_of_service_agreed=True)
        solver = Webroot(webroot)
        await issue(client, [f"warm.{domain}"], solvers=[solver])
        requests.clear()
        cpu, began = time.process_time(), time.perf_counter()
        for number in range(runs):
            await issue(client, [f"n{number}.{domain}"], solvers=[solver])
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    print(json.dumps({"cpu": cpu / runs, "requests": len(requests) / runs, "seconds": seconds / runs}))


if __name__ == "__main__":
    directory, webroot, domain, runs = sys.argv[1:]
    asyncio.run(main(directory, webroot, domain, int(runs)))
