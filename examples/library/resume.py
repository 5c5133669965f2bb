"""Resume an order after a crash: the key and the order's URL are on disk, and the next run continues with them."""

import asyncio
import os
import sys
from pathlib import Path

from certwright.acme import AccountCredentials, OrderFailed
from certwright.client import Event, Http01Server, KeySpec, OrderPlaced, SolverFailed, connect, issue
from certwright.pki import private_key_to_pem

NAME = os.environ.get("NAME", "www.example.com")
HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))
NEXT_KEY, ORDER = Path("privkey-next.pem"), Path("order.txt")


async def main() -> None:
    if not NEXT_KEY.exists():
        NEXT_KEY.touch(mode=0o600)
        NEXT_KEY.write_bytes(private_key_to_pem(KeySpec().make()))
    account = AccountCredentials.from_json(Path("account.json").read_text())
    async with connect(account=account) as client:
        try:
            certificate = await issue(
                client,
                [NAME],
                solvers=[Http01Server(port=HTTP_PORT)],
                key=NEXT_KEY.read_bytes(),
                resume=ORDER.read_text() if ORDER.exists() else None,
                on_event=remember,
            )
        except SolverFailed as error:
            # The order is still usable.
            sys.exit(f"{error}. Run this again to continue")
        except OrderFailed as error:
            # A failed order stays failed.
            ORDER.unlink()
            sys.exit(str(error))
    Path("fullchain.pem").write_bytes(certificate.chain_pem)
    NEXT_KEY.replace("privkey.pem")
    ORDER.unlink()


def remember(event: Event) -> None:
    """Save the order's URL before doing anything with it."""
    if isinstance(event, OrderPlaced):
        ORDER.write_text(event.order.url)
    print(event)


asyncio.run(main())
