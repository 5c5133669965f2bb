"""Renew a certificate when the CA suggests it (RFC 9773). Run this from cron, at least twice a day.

`--same-key` keeps the private key, in case it is pinned; `--now` renews even if it is not due.
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
        # Without renewal information, renew when one third of the lifetime remains.
        at = leaf.not_valid_after_utc - (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 3
        try:
            info = await client.fetch_renewal_info(leaf_der(current))
        except AcmeError as error:
            print(f"No renewal information: {error}")
        else:
            # Choose a time in the window once and keep it: choosing again at each run would make renewals early.
            kept = RenewalPlan(*map(datetime.fromisoformat, PLAN.read_text().split())) if PLAN.exists() else None
            plan = RenewalPlan.follow(info, kept)
            PLAN.write_text(f"{plan.start.isoformat()} {plan.end.isoformat()} {plan.at.isoformat()}")
            at = plan.within(leaf.not_valid_before_utc, leaf.not_valid_after_utc) or at
        if "--now" not in sys.argv and at > datetime.now(UTC) + timedelta(hours=12):
            print(f"Not due before {at:%Y-%m-%d %H:%M}")
            return
        key = KEY.read_bytes() if "--same-key" in sys.argv else KeySpec()
        renewed = await renew(client, current, solvers=[Http01Server(port=HTTP_PORT)], key=key, on_event=print)
    KEY.write_bytes(renewed.private_key_pem)
    CHAIN.write_bytes(renewed.chain_pem)
    PLAN.unlink(missing_ok=True)
    print(f"Renewed until {renewed.not_after:%Y-%m-%d}; counted by the CA as a renewal: {renewed.replaced}")


asyncio.run(main())
