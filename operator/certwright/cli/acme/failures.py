"""Errors as exit codes, as messages for the user, and as `--json` documents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from certwright.acme import (
    AccountDoesNotExist,
    AccountKeyInUse,
    AcmeError,
    BudgetExhausted,
    ConnectionFailed,
    ExternalAccountRequired,
    InvalidCertificate,
    InvalidIdentifier,
    InvalidProxy,
    MalformedResponse,
    NoSuchChain,
    NotOffered,
    NotRegistered,
    OrderFailed,
    PollTimedOut,
    ProblemError,
    RateLimited,
    RedirectRefused,
    ServerInternal,
    ServiceUnavailable,
    TransportError,
    UnsafeUrl,
    UntrustedServer,
    UserActionRequired,
)
from certwright.cli.acme.exits import ExitCode
from certwright.cli.exits import CommandError
from certwright.client import CertificateStartsLater, IssuanceTimedOut, NoSolver, SolverFailed, UnusableCertificate
from certwright.dns import DnsError, InvalidServer, InvalidTsigKey
from certwright.pki import PkiError
from certwright.text import rfc3339

# The first match counts.
_CODES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], ExitCode], ...]] = (
    ((RateLimited, BudgetExhausted), ExitCode.RATE_LIMITED),
    ((UserActionRequired, ExternalAccountRequired, AccountDoesNotExist, NotRegistered), ExitCode.ACTION_NEEDED),
    ((OrderFailed, SolverFailed, NoSolver), ExitCode.NOT_VALIDATED),
    (
        (TransportError, ServiceUnavailable, MalformedResponse, RedirectRefused, ServerInternal, PollTimedOut),
        ExitCode.UNREACHABLE,
    ),
    ((IssuanceTimedOut, CertificateStartsLater), ExitCode.UNREACHABLE),
    ((InvalidIdentifier, InvalidProxy, UnsafeUrl, InvalidServer, InvalidTsigKey), ExitCode.USAGE),
    ((ProblemError, UnusableCertificate, NoSuchChain, NotOffered, AccountKeyInUse), ExitCode.REFUSED),
    (InvalidCertificate, ExitCode.FAILED),
)


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, CommandError):
        return ExitCode(error.code)
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), ExitCode.FAILED)


def is_expected(error: BaseException) -> bool:
    """Return whether the message of an error is meant for the user."""
    return isinstance(error, CommandError | AcmeError | DnsError | PkiError) or _is_about_a_file(error)


def describe(error: BaseException) -> dict[str, Any]:
    """Return an error for `--json`; docs/cli.md has the shape."""
    code = exit_code(error)
    document: dict[str, Any] = {
        "type": type(error).__name__,
        "message": message(error),
        "exit_code": int(code),
        "temporary": isinstance(error, AcmeError) and error.temporary,
    }
    if isinstance(error, RateLimited):
        document |= {"retry_at": error.retry_at, "help_url": error.help_url}
    if isinstance(error, BudgetExhausted):
        document |= {"retry_at": error.retry_at, "limit": error.limit, "used": error.used or None}
    if isinstance(error, AcmeError) and error.retry_after is not None:
        document["retry_after"] = error.retry_after
    if isinstance(error, ProblemError):
        document["problem"] = error.problem.kind
        document["names"] = [str(identifier) for identifier in error.identifiers]
    if isinstance(error, UserActionRequired):
        document["action_url"] = error.url
    if isinstance(error, OrderFailed):
        document["by_name"] = {
            name: {"problem": problem.kind, "message": str(problem)} for name, problem in error.by_identifier.items()
        }
        document["order_url"] = error.order.url
    if isinstance(error, SolverFailed):
        document["names"] = list(error.names)
    if isinstance(error, NoSuchChain):
        document["offered"] = list(error.offered)
    if isinstance(error, CertificateStartsLater):
        document["retry_at"] = error.usable_from
    if isinstance(error, IssuanceTimedOut | CertificateStartsLater | UnusableCertificate):
        document["order_url"] = error.order_url
    if isinstance(error, IssuanceTimedOut):
        document["reasons"] = error.reasons
    return document


def message(error: BaseException) -> str:
    """Return the message for the user: of an unexpected error only its type, because its text may contain secrets."""
    if isinstance(error, OSError) and _is_about_a_file(error):
        return f"Cannot use {error.filename}: {os.strerror(error.errno or 0).lower()}."
    if is_expected(error):
        return f"{str(error).rstrip('.')}.{_remedy(error)}"
    return f"Unexpected error: {type(error).__name__}. Run the command again with --debug and report the output."


def _is_about_a_file(error: BaseException) -> bool:
    return isinstance(error, OSError) and isinstance(error.filename, str | Path) and bool(error.errno)


def _remedy(error: BaseException) -> str:
    if isinstance(error, UserActionRequired):
        return " Then agree with: certwright acme account --agree-tos"
    if isinstance(error, BudgetExhausted):
        return " Nothing was sent to the CA; --ignore-rate-limits orders anyway"
    if isinstance(error, ExternalAccountRequired):
        return " Use --eab-kid and --eab-hmac-file"
    if isinstance(error, UntrustedServer):
        return " Use --ca-bundle"
    if isinstance(error, ConnectionFailed) and not error.request_sent:
        return " Check the address (--server), DNS, firewall and proxy"
    if isinstance(error, NoSuchChain):
        return " Nothing was saved; issue again with another --preferred-chain, or without it"
    if isinstance(error, IssuanceTimedOut) and error.order_url is not None:
        return " Use --timeout to wait longer"
    if isinstance(error, CertificateStartsLater):
        return f" Run the same command again from {rfc3339(error.usable_from)}; it takes the certificate that is there"
    if isinstance(error, AccountDoesNotExist):
        return " To register the same key again: certwright acme register --agree-tos"
    if isinstance(error, NotRegistered):
        return " Register with: certwright acme register --agree-tos"
    return ""
