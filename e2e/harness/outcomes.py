"""The outcome of each fault of a CA, for a user of the library and for an operator's Certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from certwright import acme, pki
from certwright.client import NoSolver


@dataclass(frozen=True)
class Outcome:
    """The outcome of a fault.

    Attributes:
        error: What the library raises; None if it issues the certificate regardless.
        reason: Of the Certificate's condition; empty if the operator issues it as well.
        found_by_operator: The operator comes to its reason by itself, not by the library's error.
    """

    error: type[acme.AcmeError | pki.PkiError] | None
    reason: str = ""
    found_by_operator: bool = False


def _named(outcome: Outcome, *names: str) -> dict[str, Outcome]:
    return dict.fromkeys(names, outcome)


TOLERATED: Final = Outcome(None)
UNREACHABLE: Final = Outcome(acme.ConnectionFailed, "CAUnreachable")
TOO_LATE: Final = Outcome(acme.TimedOut, "CAUnreachable")
MALFORMED: Final = Outcome(acme.MalformedResponse, "CAMalformedResponse")

REFUSALS: Final = {
    **_named(
        Outcome(acme.RateLimited, "RateLimited"),
        "rate-limited-for-seconds",
        "rate-limited-until-date",
        "rate-limited-by-gateway",
        "rate-limited-and-cut-off",
    ),
    **_named(
        Outcome(acme.ServiceUnavailable, "CAUnreachable"),
        "unavailable-for-seconds",
        "unavailable-until-date",
        "unavailable-with-endless-page",
        "internal-error-in-html",
    ),
    "internal-error": Outcome(acme.ServerInternal, "CAInternalError"),
}
CONNECTIONS: Final = {
    **_named(
        UNREACHABLE,
        "reset-before-answer",
        "reset-in-answer",
        "not-http",
        "illegal-header",
        "contradicting-lengths",
        "huge-header",
    ),
    "answer-lost": TOLERATED,
    **_named(TOO_LATE, "hang-before-answer", "hang-in-answer", "dripping-answer", "endless-hints"),
}
BODIES: Final = {
    **_named(
        MALFORMED,
        "truncated-json",
        "wrong-content-type",
        "no-content-type",
        "html-page",
        "html-as-json",
        "json-array",
        "nested-json",
        "gzip-bomb",
    ),
    **_named(Outcome(acme.ResponseTooLarge, "CAMalformedResponse"), "large-body", "endless-body"),
}
CHAINS: Final = {
    **_named(TOLERATED, "text-in-chain", "chain-out-of-order", "chain-with-strangers"),
    **_named(MALFORMED, "truncated-pem", "empty-chain", "private-key-in-chain", "long-chain"),
    "garbage-certificate": Outcome(pki.ChainError, "InvalidKeyOrChain"),
    "leaf-for-another-key": Outcome(pki.KeyMismatch, "CertificateRefused"),
    "foreign-issuer": Outcome(pki.BrokenChain, "CertificateRefused"),
    "leaf-lacks-name": Outcome(pki.MissingNames, "CertificateRefused"),
    "expired-leaf": Outcome(pki.Expired, "CertificateRefused"),
    "leaf-of-tomorrow": Outcome(pki.NotYetValid, "CertificateRefused"),
    "leaf-of-a-clock-ahead": Outcome(pki.NotYetValid, "WaitingForStart", found_by_operator=True),
}
PROTOCOL: Final = {
    **_named(TOLERATED, "answer-without-nonce", "used-nonce", "doubled-headers"),
    **_named(Outcome(acme.BadNonce, "BadNonce"), "always-the-same-nonce", "every-nonce-refused"),
    **_named(
        MALFORMED,
        "never-a-nonce",
        "account-without-location",
        "order-without-location",
        "directory-without-new-order",
    ),
    **_named(
        Outcome(acme.RedirectRefused, "CAMalformedResponse"),
        "redirect-on-same-host",
        "redirect-to-other-host",
        "redirect-loop",
    ),
    "directory-over-http": Outcome(acme.UnsafeUrl, "CAMalformedResponse"),
}
ORDERS: Final = {
    **_named(
        MALFORMED,
        "unknown-status",
        "authorization-for-other-name",
        "challenge-without-token",
        "evil-token",
    ),
    # The answer alone is wrong: the order itself is read at its Location.
    **_named(TOLERATED, "order-for-other-names", "order-for-more-names", "too-many-authorizations"),
    "valid-without-certificate": Outcome(acme.CertificateNotNamed, "CAMalformedResponse"),
    "certificate-elsewhere": UNREACHABLE,
    "always-processing": Outcome(acme.PollTimedOut, "Finalizing", found_by_operator=True),
    "processing-beyond-its-end": Outcome(acme.PollTimedOut, "OrderExpired", found_by_operator=True),
    "no-challenges": Outcome(NoSolver, "NoChallenge", found_by_operator=True),
}
LINKS: Final = {
    **_named(TOLERATED, "alternates-in-circle", "alternates-without-end", "orders-without-end"),
    "orders-in-circle": MALFORMED,
}
AWKWARD: Final = {
    **_named(
        TOLERATED,
        "not-found-at-first",
        "unavailable-at-first",
        "nonce-by-get-only",
        "sparing-answers",
        "asterisk-in-authorization",
        "wildcard-not-marked",
        "challenge-fails-at-first",
    ),
    "authorization-fails-in-pending-order": Outcome(acme.OrderFailed, "ValidationFailed"),
}
OUTCOMES: Final[dict[str, Outcome]] = {
    **REFUSALS,
    **CONNECTIONS,
    **BODIES,
    **CHAINS,
    **PROTOCOL,
    **ORDERS,
    **LINKS,
    **AWKWARD,
}
