"""Proofs to be answered, without a CA."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from certwright.acme import Authorization, AuthorizationStatus, Challenge, ChallengeStatus, DirectoryMeta, Identifier
from certwright.client import Proof

MakeProof = Callable[..., Proof]


@pytest.fixture
def proof() -> MakeProof:
    """Makes proofs for a name and a type of challenge."""

    def make(
        name: str = "www.example.com",
        kind: str = "http-01",
        *,
        token: str | None = "token",  # noqa: S107 - made up
        issuers: tuple[str, ...] = (),
        meta: DirectoryMeta | None = None,
    ) -> Proof:
        identifier = Identifier.parse(name)
        wildcard = identifier.value.startswith("*.")
        challenge = Challenge(
            kind, f"https://ca.test/{kind}/{name}", ChallengeStatus.PENDING, token, issuer_domain_names=issuers
        )
        authorization = Authorization(
            f"https://ca.test/authz/{name}",
            AuthorizationStatus.PENDING,
            Identifier(identifier.type, identifier.value.removeprefix("*.")),
            wildcard=wildcard,
            challenges=(challenge,),
        )
        return Proof(authorization, challenge, "https://ca.test/account/1", "thumbprint", meta or DirectoryMeta())

    return make
