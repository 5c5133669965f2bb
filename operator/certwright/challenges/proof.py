"""What validates one domain: an authorization, the challenge that was chosen, and what answers it."""

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
    """One challenge to be answered, with everything that its answer is computed from.

    Attributes:
        authorization: What it is for.
        challenge: The challenge that was chosen among those offered.
        account_url: The account.
        thumbprint: The thumbprint of the account key.
        meta: What the server says about itself.
    """

    authorization: Authorization
    challenge: Challenge
    account_url: str
    thumbprint: str
    meta: DirectoryMeta = field(repr=False, compare=False)

    @classmethod
    def of(cls, client: Client, meta: DirectoryMeta, authorization: Authorization, challenge: Challenge) -> Proof:
        """Take the account from a client that has one."""
        return cls(authorization, challenge, client.account_url or "", client.key.thumbprint, meta)

    @property
    def identifier(self) -> Identifier:
        """The name or address, without `*.`."""
        return self.authorization.identifier

    @property
    def name(self) -> str:
        """The name as the order wrote it: with a leading `*.` if it is for the wildcard."""
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
        """Where the TXT record of a dns challenge stands, before any CNAME is followed.

        Raises:
            UnsupportedChallenge: The challenge is none of the three dns ones.
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
        """What a dns-persist-01 record names the account by: hashed where the server wants that, else its URL."""
        return account_uri(
            self.meta, domain=self.identifier.value, thumbprint=self.thumbprint, account_url=self.account_url
        )

    def persistent_value(
        self, *, issuer: str | None = None, wildcard: bool = False, persist_until: datetime | None = None
    ) -> str:
        """Return the value of the TXT record of dns-persist-01.

        Args:
            issuer: One of the challenge's issuer domain names; None for the first.
            wildcard: Whether it also stands for wildcards; it does in any case if the proof is for one.
            persist_until: When it expires, aware; None for never.

        Raises:
            UnsupportedChallenge: The challenge names no issuer, not this one, or what no record can hold.
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
