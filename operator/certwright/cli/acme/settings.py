"""The saved state of a certificate: its renewal settings, pending order and renewal state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - read at run time, by `files.from_json`
from enum import StrEnum

from certwright.cli.acme.solver_settings import SolverSettings


class KeyType(StrEnum):
    """Types of certificate keys."""

    EC256 = "ec256"
    EC384 = "ec384"
    EC521 = "ec521"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"
    RSA4096 = "rsa4096"
    RSA8192 = "rsa8192"
    ED25519 = "ed25519"


@dataclass(frozen=True)
class IssuanceSettings:
    """How to issue one certificate again; saved with it, so that `renew` needs no arguments.

    Attributes:
        names: Its domains and addresses, as on the command line or in the CSR.
        server: The directory URL of the CA.
        solver: How they are validated.
        key_type: Type of a new key.
        reuse_key: Whether renewals keep the key.
        from_request: Whether a CSR takes the place of the key, which is elsewhere.
        profile: One of the CA's, or None.
        preferred_chain: Common name of the issuer that the chain must lead to, or None.
        deploy_hook: Shell command to run after each issuance, or None.
        combined: Whether to write a file with key and chain together.
        pkcs12: Encryption of the keystore, `modern` or `legacy`, or None to write none.
        pkcs12_password_file: File with its password, or None if it is in the environment or typed by the user.
        timeout: Seconds for one issuance.
        subject: The whole subject as in RFC 4514, or None for an empty one.
        usages: Usages of the key to request.
        uris: URIs to request.
        mailboxes: E-mail addresses to request.
        install_to: Folder that the files are copied to, or None.
        install_owner: Who gets them, as `USER[:GROUP]`, or None.
        install_mode: Mode of files with the key, in octal, or None.
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
    subject: str | None = None
    usages: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    mailboxes: tuple[str, ...] = ()
    install_to: str | None = None
    install_owner: str | None = None
    install_mode: str | None = None

    @property
    def deploys(self) -> bool:
        """Whether there is something to do after an issuance."""
        return self.deploy_hook is not None or self.install_to is not None


@dataclass(frozen=True)
class PendingOrder:
    """The content of `order.json`: an order that was placed, or is about to be, and the key that it is for.

    Attributes:
        names: The domains and addresses in it.
        server: The directory URL of the CA.
        account_url: The account that places it.
        made_at: When it was placed.
        order_url: Its URL, or None before it was placed.
        profile: One of the CA's, or None.
        not_before: Requested start of validity, or None.
        not_after: Requested end of validity, or None.
        key_type: Type of the key that was made for it, or None if the key was given.
        private_key: The key that was made for it, in PEM, or None if it was given.
        key_sha256: SHA-256 of the public key that was given, in hexadecimal, or None if the key was made.
        finalized: Whether the certificate was requested, so that the CA may have issued it for this key.
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
    finalized: bool = False


@dataclass(frozen=True)
class Metadata:
    """The content of `certificate.json`: how the certificate beside it was issued.

    Attributes:
        settings: Its settings for renewal.
        issued_at: When it was issued.
        not_before: Start of its validity.
        not_after: End of its validity.
        serial: Its serial number in hexadecimal.
        order_url: Its order.
        certificate_url: Where the CA offers it for download.
        account_url: The account that ordered it.
        replaced: Whether the CA counts it as the renewal of the one before.
    """

    settings: IssuanceSettings = field(metadata={"formerly": "recipe"})
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
    """The content of `renewal.json`: what is known about the renewal of one certificate.

    Attributes:
        serial: The certificate that it is about; it means nothing for any other one.
        window_start: Start of the CA's window when the time in it was chosen.
        window_end: End of that window.
        at: The time that was chosen in it (RFC 9773 section 4.2).
        explanation_url: Why the CA suggests this window.
        ask_again: When to ask the CA again.
        retry_at: No order is placed before this time, by a rate limit of the CA.
        looked_at: When `renew` last looked at it.
        hook_due: Whether the deploy hook failed and must run again.
        revoked_at: When this program revoked the certificate.
        early_renewals: How many certificates in a row were replaced early because the CA suggested it, this one being
            the last.
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
    early_renewals: int = 0
