"""What an error means for the exit code, and how machines are told of it."""

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
from certwright.cli.acme.exits import CommandError, ExitCode
from certwright.client import IssuanceTimedOut, NoSolver, SolverFailed, UnusableCertificate
from certwright.dns import DnsError, InvalidServer, InvalidTsigKey
from certwright.pki import PkiError

# The first that fits counts.
_CODES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], ExitCode], ...]] = (
    ((RateLimited, BudgetExhausted), ExitCode.RATE_LIMITED),
    ((UserActionRequired, ExternalAccountRequired, AccountDoesNotExist, NotRegistered), ExitCode.PERSON_NEEDED),
    ((OrderFailed, SolverFailed, NoSolver), ExitCode.NOT_PROVEN),
    (
        (TransportError, ServiceUnavailable, MalformedResponse, RedirectRefused, ServerInternal, PollTimedOut),
        ExitCode.UNREACHABLE,
    ),
    (IssuanceTimedOut, ExitCode.UNREACHABLE),
    ((InvalidIdentifier, InvalidProxy, UnsafeUrl, InvalidServer, InvalidTsigKey), ExitCode.USAGE),
    ((ProblemError, UnusableCertificate, NoSuchChain, NotOffered, AccountKeyInUse), ExitCode.REFUSED),
    (InvalidCertificate, ExitCode.FAILED),
)


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, CommandError):
        return error.code
    return next((code for kinds, code in _CODES if isinstance(error, kinds)), ExitCode.FAILED)


def foreseen(error: BaseException) -> bool:
    """Whether the message of an error is made for people."""
    return isinstance(error, CommandError | AcmeError | DnsError | PkiError) or _is_about_a_file(error)


def describe(error: BaseException) -> dict[str, Any]:
    """Return an error as machines read it; docs/cli.md has the shape."""
    code = exit_code(error)
    said: dict[str, Any] = {
        "type": type(error).__name__,
        "message": message(error),
        "exit_code": int(code),
        "temporary": isinstance(error, AcmeError) and error.temporary,
    }
    if isinstance(error, RateLimited):
        said |= {"retry_at": error.retry_at, "help_url": error.help_url}
    if isinstance(error, AcmeError) and error.retry_after is not None:
        said["retry_after"] = error.retry_after
    if isinstance(error, ProblemError):
        said["problem"] = error.problem.kind
        said["names"] = [str(identifier) for identifier in error.identifiers]
    if isinstance(error, UserActionRequired):
        said["action_url"] = error.url
    if isinstance(error, OrderFailed):
        said["by_name"] = {
            name: {"problem": problem.kind, "message": str(problem)} for name, problem in error.by_identifier.items()
        }
        said["order_url"] = error.order.url
    if isinstance(error, SolverFailed):
        said["names"] = list(error.names)
    if isinstance(error, NoSuchChain):
        said["offered"] = list(error.offered)
    if isinstance(error, IssuanceTimedOut | UnusableCertificate):
        said["order_url"] = error.order_url
    return said


def message(error: BaseException) -> str:
    """Return what to tell a person. The text of an unforeseen error may hold anything, so its kind has to do."""
    if isinstance(error, OSError) and _is_about_a_file(error):
        return f"Cannot use {error.filename}: {os.strerror(error.errno or 0).lower()}."
    if foreseen(error):
        return f"{str(error).rstrip('.')}.{_remedy(error)}"
    return f"An unforeseen error: {type(error).__name__}. Run the command again with --debug and report what it shows."


def _is_about_a_file(error: BaseException) -> bool:
    return isinstance(error, OSError) and isinstance(error.filename, str | Path) and bool(error.errno)


def _remedy(error: BaseException) -> str:
    if isinstance(error, UserActionRequired):
        return " Then agree with: certwright acme account --agree-tos"
    if isinstance(error, ExternalAccountRequired):
        return " The options are --eab-kid and --eab-hmac-file"
    if isinstance(error, UntrustedServer):
        return " The option is --ca-bundle"
    if isinstance(error, ConnectionFailed) and not error.request_sent:
        return " Check the address (--server), DNS, firewall and proxy"
    if isinstance(error, NoSuchChain):
        return " Nothing was kept; issue again with another --preferred-chain, or none"
    if isinstance(error, IssuanceTimedOut) and error.order_url is not None:
        return " The option --timeout gives it longer"
    if isinstance(error, NotRegistered):
        return " Register with: certwright acme register --agree-tos"
    return ""
