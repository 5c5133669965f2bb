"""What programs may get wrong, and what a type checker has to say then. Each line that is wrong says so."""

from __future__ import annotations

from certwright.acme import AccountKey, Client, Identifier
from certwright.client import KeySpec, issue, renew


class NoSolver:
    """Lacks `wait` and `clean_up`."""

    challenge_type = "http-01"

    async def present(self, proofs: object) -> None: ...


async def wrong(client: Client) -> None:
    await issue(client, ["example.com"], solvers=[NoSolver()])  # wrong: list-item
    await issue(client, ["example.com"])  # wrong: call-arg
    await issue(client, [443], solvers=[])  # wrong: list-item
    await issue(client, ["example.com"], solvers=[], key=KeySpec("DSA"))  # wrong: arg-type
    await renew(client, "-----BEGIN CERTIFICATE-----", solvers=[])  # wrong: arg-type
    await client.new_order(["example.com"])  # wrong: list-item
    await client.new_order([Identifier.dns("example.com")], validity=90)  # wrong: call-arg
    AccountKey.generate("HS256")  # wrong: arg-type
    client.key.jwk["x"] = "y"  # wrong: index
