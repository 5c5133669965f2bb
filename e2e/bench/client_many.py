"""Issue many certificates from one process, some at a time, and print the speed as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from certwright.acme import HttpxTransport
from certwright.client import Http01Server, connect, issue


async def main(directory: str, domain: str, *, port: int, at_once: int, count: int, connections: int) -> None:
    """Issue."""
    solver = Http01Server(port=port)
    slots = asyncio.Semaphore(at_once)
    async with (
        HttpxTransport(trust_env=True, max_connections=connections) as transport,
        connect(directory, transport=transport) as client,
    ):
        await client.register(terms_of_service_agreed=True)

        async def one(number: int) -> None:
            async with slots:
                await issue(client, [f"m{number}.{domain}"], solvers=[solver])

        cpu, began = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    print(json.dumps({"cpu": cpu / count, "rate": count / seconds, "seconds": seconds}))


if __name__ == "__main__":
    directory, domain, *numbers = sys.argv[1:]
    port, at_once, count, connections = map(int, numbers)
    asyncio.run(main(directory, domain, port=port, at_once=at_once, count=count, connections=connections))
