"""Renew what is due, when the CA wants it renewed (RFC 9773): run it from cron, twice a day or more.

`--same-key` keeps the private key, for those who pinned it; `--now` does not ask whether it is due.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from certwright.acme import AccountCredentials, AcmeError, RenewalPlan
from certwright.client import Http01Server, KeySpec, connect, leaf_der, renew
from certwright.pki import parse_chain

HTTP_PORT = int(os.environ.get("HTTP_PORT", "80"))
CHAIN, KEY, PLAN = Path("fullchain.pem"), Path("privkey.pem"), Path("renewal.txt")


async def main() -> None:
    account = AccountCredentials.from_json(Path("account.json").read_text())
    current = CHAIN.read_bytes()
    leaf = parse_chain(current).leaf
    async with connect(account=account) as client:
        # Without renewal information: when a third of its life is left.
        at = leaf.not_valid_after_utc - (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 3
        try:
            info = await client.fetch_renewal_info(leaf_der(current))
        except AcmeError as error:
            print(f"No renewal information: {error}")
        else:
            # An instant in the window is chosen once and kept: choosing at each run would bring all clients early.
            kept = RenewalPlan(*map(datetime.fromisoformat, PLAN.read_text().split())) if PLAN.exists() else None
            plan = RenewalPlan.follow(info, kept)
            PLAN.write_text(f"{plan.start.isoformat()} {plan.end.isoformat()} {plan.at.isoformat()}")
            at = plan.at
        if "--now" not in sys.argv and at > datetime.now(UTC) + timedelta(hours=12):
            print(f"Not due before {at:%Y-%m-%d %H:%M}")
            return
        key = KEY.read_bytes() if "--same-key" in sys.argv else KeySpec()
        renewed = await renew(client, current, solvers=[Http01Server(port=HTTP_PORT)], key=key, on_event=print)
    KEY.write_bytes(renewed.private_key_pem)
    CHAIN.write_bytes(renewed.chain_pem)
    PLAN.unlink(missing_ok=True)
    print(f"Renewed until {renewed.not_after:%Y-%m-%d}; the CA counts it as a renewal: {renewed.replaced}")


asyncio.run(main())
