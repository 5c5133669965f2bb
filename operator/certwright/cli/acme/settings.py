"""How a certificate is issued, kept beside it so that `renew` needs no arguments; and what else is kept of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - read at run time, by `documents`
from enum import StrEnum


class KeyType(StrEnum):
    """Kinds of certificate keys that can be asked for."""

    EC256 = "ec256"
    EC384 = "ec384"
    EC521 = "ec521"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"
    RSA4096 = "rsa4096"
    ED25519 = "ed25519"


class DnsCheck(StrEnum):
    """What a record that the authoritative servers do not show means."""

    REQUIRED = "required"
    ADVISORY = "advisory"
    OFF = "off"


@dataclass(frozen=True)
class SolverSettings:
    """What the solvers were told on the command line.

    Attributes:
        solvers: As `--solver` takes them: `KIND[:ARGUMENT]`, or `ZONE=KIND[:ARGUMENT]`.
        http_host: Where the standalone server listens; None for all addresses.
        http_port: Its port.
        http_check: Whether the answers to http-01 are looked at from here before the CA does.
        tls_host: Where the tls-alpn-01 server listens.
        tls_port: Its port.
        nameserver: Of dynamic updates (RFC 2136).
        tsig_key_file: A key in BIND's format, or a secret alone.
        tsig_key_name: Its name, if the file does not say it.
        tsig_algorithm: Its algorithm, if the file does not say it.
        resolvers: Recursive resolvers; none for the system's.
        authoritative: Servers to ask whether records are there, in place of those that the zone lists.
        dns_timeout: Seconds until records have to be seen.
        dns_check: What it means if they are not.
        persist_until: When a dns-persist-01 record that is made ends to count.
        persist_wildcard: Whether it also stands for wildcards and names below.
    """

    solvers: tuple[str, ...] = ()
    http_host: str | None = None
    http_port: int = 80
    http_check: bool = False
    tls_host: str | None = None
    tls_port: int = 443
    nameserver: str | None = None
    tsig_key_file: str | None = None
    tsig_key_name: str | None = None
    tsig_algorithm: str | None = None
    resolvers: tuple[str, ...] = ()
    authoritative: tuple[str, ...] = ()
    dns_timeout: float = 300.0
    dns_check: str = DnsCheck.REQUIRED.value
    persist_until: datetime | None = None
    persist_wildcard: bool = False


@dataclass(frozen=True)
class Recipe:
    """How to issue one certificate again.

    Attributes:
        names: What it is for, as written on the command line or in the request.
        server: The directory URL of the CA.
        solver: How the names are proven.
        key_type: What kind of key is made.
        reuse_key: Whether renewals keep the key.
        from_request: Whether a request stands in for the key, which is elsewhere.
        profile: One of the CA's, or None.
        preferred_chain: The common name of the issuer that the chain shall lead to, or None.
        deploy_hook: A shell command to be run after each issuance, or None.
        combined: Whether a file with key and chain together is written.
        pkcs12: How a keystore is encrypted, `modern` or `legacy`, or None to write none.
        pkcs12_password_file: File with its password, or None if the environment or a person says it.
        timeout: Seconds for one issuance.
    """

    names: tuple[str, ...]
    server: str
    solver: SolverSettings = field(default_factory=SolverSettings)
    key_type: str = KeyType.EC256.value
    reuse_key: bool = False
    from_request: bool = False
    profile: str | None = None
    preferred_chain: str | None = None
    deploy_hook: str | None = None
    combined: bool = False
    pkcs12: str | None = None
    pkcs12_password_file: str | None = None
    timeout: float = 600.0


@dataclass(frozen=True)
class PendingOrder:
    """What `order.json` holds: an order that was made, or is about to be, and the key that it is for.

    Attributes:
        names: What it is for.
        server: The directory URL of the CA.
        account_url: The account that orders it.
        made_at: When, UTC.
        order_url: The order, or None if it was not made yet.
        profile: One of the CA's, or None.
        not_before: When the certificate should begin to be valid, or None.
        not_after: When it should end, or None.
        key_type: What kind of key was made for it, or None if the key was given.
        private_key: The key that was made for it, in PEM, or None if it was given.
        key_sha256: SHA-256 of the public key that was given, in hexadecimal, or None if the key was made.
    """

    names: tuple[str, ...]
    server: str
    account_url: str
    made_at: datetime
    order_url: str | None = None
    profile: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    key_type: str | None = None
    private_key: str | None = field(default=None, repr=False)
    key_sha256: str | None = None


@dataclass(frozen=True)
class Metadata:
    """What `certificate.json` holds: how the certificate beside it was issued.

    Attributes:
        recipe: How.
        issued_at: When, UTC.
        not_before: The first instant of its life, UTC.
        not_after: The last instant of its life, UTC.
        serial: Its serial number in hexadecimal.
        order_url: The order that it came from.
        certificate_url: Where the CA has it.
        account_url: The account that ordered it.
        replaced: Whether the CA counts it as the renewal of the one before.
    """

    recipe: Recipe
    issued_at: datetime
    not_before: datetime
    not_after: datetime
    serial: str
    order_url: str = ""
    certificate_url: str = ""
    account_url: str = ""
    replaced: bool = False


@dataclass(frozen=True)
class RenewalState:
    """What `renewal.json` holds: what is known about the renewal of one certificate.

    Attributes:
        serial: The certificate that it is about; for any other one it means nothing.
        window_start: Where the CA's window began when the instant was chosen.
        window_end: Where it ended.
        at: The instant that was chosen in it (RFC 9773 section 4.2).
        explanation_url: Why the CA wants it then.
        ask_again: When to ask the CA again.
        retry_at: Before that instant the CA takes no order.
        looked_at: When `renew` came by last.
        hook_due: Whether the deploy hook failed and is to be run again.
        revoked_at: When the certificate was revoked by us.
    """

    serial: str
    window_start: datetime | None = None
    window_end: datetime | None = None
    at: datetime | None = None
    explanation_url: str | None = None
    ask_again: datetime | None = None
    retry_at: datetime | None = None
    looked_at: datetime | None = None
    hook_due: bool = False
    revoked_at: datetime | None = None
