"""What somebody who may write the status of an issuer makes of its account after a restart: nothing that lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from certwright.acme import AccountKey
from tests.fakes.issuers import CA, NOW, ORIGIN, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT: Final = f"{ORIGIN}/account/1"
LATER: Final = "2999-01-01T00:00:00Z"

FORGERIES: Final[dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "replaced": lambda acme: {
        **acme,
        "keyRotation": {"time": "2026-05-01T00:00:00Z", "formerThumbprint": acme["keyThumbprint"]},
    },
    "another CA": lambda acme: {**acme, "server": "https://evil.test/directory"},
    "another host": lambda acme: {**acme, "uri": "https://evil.test/account/7"},
    "another account": lambda acme: {**acme, "uri": f"{ORIGIN}/account/99"},
    "no CA's account": lambda acme: {**acme, "uri": f"{ORIGIN}/terms"},
    "another key": lambda acme: {**acme, "keyThumbprint": "A" * 43},
    "address": lambda acme: {**acme, "lastRegisteredEmail": "evil@evil.test"},
    "terms": lambda acme: {**acme, "termsOfService": "javascript:alert(1)"},
    "label": lambda acme: {**acme, "dnsAccountLabel": "_" + "a" * 16},
    "offers": lambda acme: {**acme, "offers": {"profiles": ["p" * 200] * 30, "website": "javascript:alert(1)"}},
    "servers": lambda acme: {**acme, "formerServers": ["https://evil.test/directory", f"{ORIGIN}/x"]},
    "nothing": lambda _acme: {},
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
@pytest.mark.parametrize("is_ready", [True, False])
async def test_an_account_in_a_status_is_found_to_be_the_keys_own_again(
    forge: Callable[[dict[str, Any]], dict[str, Any]], *, is_ready: bool
) -> None:
    bench = Bench()
    bench.write()
    await bench.reconciler.reconcile(CA)
    right = bench.status()
    conditions = right["conditions"]
    if not is_ready:
        reason = {"status": "False", "reason": "RateLimited", "message": "\u202e forged"}
        conditions = [{**one, **reason} for one in conditions]
    bench.forge({**right, "acme": forge(right["acme"]), "conditions": conditions, "failedAttempts": 999_999_999})
    bench.restart()
    bench.watch()
    for _ in range(3):
        result = await bench.reconciler.reconcile(CA)
        if bench.ready()[0] == "True" and bench.registry.ready(CA) is not None:
            # Of an account that the CA does not know the first order tells.
            bench.reconciler.account_lost(CA)
            bench.reconciler._losses.clear()
            await bench.reconciler.reconcile(CA)
            break
        bench.now += result.after or (NOW - NOW)
    assert bench.ready() == ("True", "AccountRegistered")
    ready = bench.registry.ready(CA)
    assert ready is not None
    assert ready.account_url == bench.status()["acme"]["uri"] == ACCOUNT
    assert bench.status()["acme"]["server"] == f"{ORIGIN}/directory"
    assert len(bench.ca.accounts) == 1, "and none was registered"
    assert "formerThumbprint" not in str(bench.status()["acme"].get("keyRotation", {}))
    assert "evil" not in str(bench.status())


async def test_a_key_that_was_replaced_is_not_taken_back_with_an_account_of_whoever_knows_it() -> None:
    """The forger's other half: the key has leaked, was replaced, and has an account of his by now."""
    bench = Bench()
    bench.write()
    await bench.reconciler.reconcile(CA)
    content = bench.cluster.entry("shop", "account", "tls.key")
    assert content is not None
    leaked = AccountKey.from_pem(content)
    bench.write(accountKeyRotation={"request": "incident-7"})
    await bench.reconciler.reconcile(CA)
    bench.cluster.put_key("shop", leaked)
    theirs = bench.ca.add_account(leaked)
    bench.restart()
    bench.watch()
    await bench.reconciler.reconcile(CA)
    assert bench.ready() == ("False", "AccountKeyReplaced")
    assert bench.registry.ready(CA) is None
    assert theirs not in str(bench.status()["acme"])
