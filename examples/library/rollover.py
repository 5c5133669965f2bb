"""Give an account a new key (RFC 8555 section 7.3.5), so that a crash at any time loses neither.

Both keys are on disk until the CA has confirmed the new one. If the program finds both when it starts, it asks the CA
which one is in use.
"""

import asyncio
from pathlib import Path

from certwright.acme import AccountCredentials, AccountKey, HeldKey, probe_keys
from certwright.client import connect

ACCOUNT, NEXT_KEY = Path("account.json"), Path("account-next.pem")


async def main() -> None:
    old = AccountCredentials.from_json(ACCOUNT.read_text())
    async with connect(account=old) as client:
        if NEXT_KEY.exists():
            new = AccountKey.from_pem(NEXT_KEY.read_bytes())
            held = await probe_keys(client, old=old.key, new=new)
            print(f"An earlier rollover was interrupted; the account uses the {held} key")
        else:
            new = AccountKey.generate("ES384")
            NEXT_KEY.touch(mode=0o600)
            NEXT_KEY.write_bytes(new.to_pem())
            held = HeldKey.OLD
        if held is HeldKey.NEITHER:
            raise SystemExit("The account uses neither key: it was closed, or belongs to another CA")
        if held is HeldKey.OLD:
            await client.change_key(new)
    fresh = Path("account.json.new")
    fresh.touch(mode=0o600)
    fresh.write_text(AccountCredentials(old.directory_url, old.account_url, new).to_json())
    fresh.replace(ACCOUNT)
    NEXT_KEY.unlink()
    print(f"The account has a new {new.algorithm} key")


asyncio.run(main())
