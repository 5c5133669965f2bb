"""The validation of one domain: its authorization, the chosen challenge, and the response."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from certwright.acme import (
    UnsupportedChallenge,
    account_uri,
    dns01_value,
    dns_account01_name,
    dns_persist01_name,
    dns_persist01_value,
    http01_path,
    http01_url,
    key_authorization,
)
from certwright.acme.challenge import dns01_name
from certwright.text import listed

if TYPE_CHECKING:
    from datetime import datetime

    from certwright.acme import Authorization, Challenge, Client, DirectoryMeta, Identifier


@dataclass(frozen=True)
class Proof:
    """A challenge to answer, with everything needed to compute the response.

    Attributes:
        authorization: The authorization that it belongs to.
        challenge: The challenge that was chosen.
        account_url: The URL of the account.
        thumbprint: The thumbprint of the account key.
        meta: The `meta` object of the CA's directory.
    """

    authorization: Authorization
    challenge: Challenge
    account_url: str
    thumbprint: str
    meta: DirectoryMeta = field(repr=False, compare=False)

    @classmethod
    def of(cls, client: Client, meta: DirectoryMeta, authorization: Authorization, challenge: Challenge) -> Proof:
        """Create a proof with the account of a client."""
        return cls(authorization, challenge, client.account_url or "", client.key.thumbprint, meta)

    @property
    def identifier(self) -> Identifier:
        """The name or address, without `*.`."""
        return self.authorization.identifier

    @property
    def name(self) -> str:
        """The name as it appears in the order: with a leading `*.` for a wildcard."""
        return self.authorization.name

    @property
    def key_authorization(self) -> str:
        """The key authorization (RFC 8555 section 8.1); the content of the file of http-01.

        Raises:
            UnsupportedChallenge: The challenge has no token.
        """
        return key_authorization(self._token, self.thumbprint)

    @property
    def http01_path(self) -> str:
        """The path at which the CA looks for the key authorization of http-01.

        Raises:
            UnsupportedChallenge: The challenge has no token.
        """
        return http01_path(self._token)

    @property
    def http01_url(self) -> str:
        """The URL at which the CA looks for the key authorization of http-01.

        Raises:
            UnsupportedChallenge: The challenge has no token.
        """
        return http01_url(self.identifier, self._token)

    @property
    def txt_name(self) -> str:
        """The name of the TXT record for a DNS challenge, before any CNAME is followed.

        Raises:
            UnsupportedChallenge: The challenge is not one of the three DNS challenges.
        """
        match self.challenge.type:
            case "dns-01":
                return dns01_name(self.identifier.value)
            case "dns-account-01":
                return dns_account01_name(self.identifier.value, self.account_url)
            case "dns-persist-01":
                return dns_persist01_name(self.identifier.value)
            case other:
                raise UnsupportedChallenge(f"{other} for {self.name} is not answered by a TXT record", type=other)

    @property
    def txt_value(self) -> str:
        """The value of the TXT record of dns-01 and dns-account-01.

        Raises:
            UnsupportedChallenge: The challenge has no token; for dns-persist-01 see `persistent_value`.
        """
        return dns01_value(self.key_authorization)

    @property
    def account_uri(self) -> str:
        """The account URI in a dns-persist-01 record: hashed if the server requires that, otherwise the account URL."""
        return account_uri(
            self.meta, domain=self.identifier.value, thumbprint=self.thumbprint, account_url=self.account_url
        )

    def persistent_value(
        self, *, issuer: str | None = None, wildcard: bool = False, persist_until: datetime | None = None
    ) -> str:
        """Return the value of the TXT record of dns-persist-01.

        Args:
            issuer: One of the challenge's issuer domain names; None for the first.
            wildcard: Whether the record also covers wildcards; always true if the proof is for one.
            persist_until: When the record expires, aware; None for never.

        Raises:
            UnsupportedChallenge: The challenge names no issuer, not this one, or one that no record can contain.
        """
        offered = self.challenge.issuer_domain_names
        if not offered or (issuer is not None and issuer not in offered):
            raise UnsupportedChallenge(
                f"The {self.challenge.type} challenge for {self.name} names "
                + (f"the issuers {listed(offered)}, not {issuer}" if offered else "no issuer"),
                type=self.challenge.type,
            )
        wildcard = wildcard or self.authorization.wildcard
        try:
            return dns_persist01_value(
                issuer or offered[0], self.account_uri, wildcard=wildcard, persist_until=persist_until
            )
        except ValueError as error:
            # What the CA says of itself, or the URL of the account.
            kind = self.challenge.type
            raise UnsupportedChallenge(f"The {kind} challenge for {self.name}: {error}", type=kind) from None

    @property
    def _token(self) -> str:
        token = self.challenge.token
        if token is None:
            kind = self.challenge.type
            raise UnsupportedChallenge(f"The {kind} challenge for {self.name} has no token", type=kind)
        return token
