"""Classifies exceptions for a Certificate or an issuer: the reason, whether it was costly, and when to try again."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal

from certwright import acme, dns, pki
from certwright.challenges.errors import PersistentRecordMissing
from certwright.http.url import page_url
from certwright.http01.errors import SolverError
from certwright.kube import errors as kube
from certwright.kube.refusals import advice
from certwright.text import listed

if TYPE_CHECKING:
    from certwright.reasons import Reason

MAX_MESSAGE_CHARACTERS: Final = 1500
NEXT_ATTEMPT: Final = " The next attempt is at "
"""Between what failed and when it is tried again, in messages."""
ATTEMPT_PAUSES: Final = tuple(dt.timedelta(minutes=minutes) for minutes in (1, 10, 100, 24 * 60))
"""Between attempts that cost something at the CA; the last one repeats. Up to a tenth is added to each at random."""
ATTEMPT_JITTER: Final = 0.1
"""The share of a pause that is added at most, so that those who failed together do not try again together."""
UNSAID_RATE_LIMIT: Final = dt.timedelta(hours=1)
LONGEST_ASKED: Final = dt.timedelta(hours=1)
"""A longer Retry-After is believed of a rate limit only: a gateway in trouble may say anything."""
USER_ACTION_PAUSE: Final = dt.timedelta(hours=6)
MAX_TERMS: Final = 512
"""The longest URL that `spec.acme.acceptedTerms` holds."""


FailureKind = Literal["transient", "attempt", "account", "order"]


class IssuanceError(Exception):
    """A step failed for a reason that is ours to name.

    Attributes:
        reason: For the condition.
        message: For people: what happened, to which name, and what to do.
        costly: Whether the attempt cost something at the CA, so that the next one has to wait longer.
        abandons_order: Whether the present order can be of no more use, and a new one may be placed soon.
        by_name: What is wrong, by DNS name.
        answered: Whether what the CA answered about the order led to it; see `Failure.answered`.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        costly: bool = False,
        abandons_order: bool = False,
        by_name: dict[str, str] | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.costly = costly
        self.abandons_order = abandons_order
        self.by_name = by_name or {}
        self.answered = answered


@dataclass(frozen=True)
class Failure:
    """One failure, classified.

    Attributes:
        reason: For conditions and Events.
        message: For people.
        kind: ``transient``: nothing was lost, the same step is tried again soon. ``attempt``: the CA counted it; order
            is given up and the next attempt waits 1, 10, 100 minutes, then a day. ``account``: the CA does not know our
            account: it is registered again. ``order``: the order is gone: a new one is made.
        not_before: The CA or server asked to wait until then.
        by_name: What is wrong, by DNS name.
        answered: Whether it is an answer of the CA to a request about an order. Another machine of the CA may answer
            otherwise in a moment, so how often it came in a row matters; see `certificates.ca_trouble`.
        doubtful: Whether one damaged answer suffices for it, so that it ends an order only if it comes again.
        read_again: Whether what was read of the order may be the cause, such as a URL in it that leads nowhere. Then
            the order is read again before the next try.
        is_certain: Whether it says that the CA works for nobody: nothing that was asked for can bring it about.
        expected: False for a defect of ours, which is logged with its traceback.
    """

    reason: Reason
    message: str
    kind: FailureKind
    not_before: dt.datetime | None = None
    by_name: dict[str, str] | None = None
    answered: bool = False
    doubtful: bool = False
    read_again: bool = False
    is_certain: bool = False
    expected: bool = True


def classify(error: BaseException, now: dt.datetime) -> Failure:
    """Say what an exception from a step means.

    Args:
        error: Whatever was raised.
        now: The present time.
    """
    failure = _classify(error, str(error)[:MAX_MESSAGE_CHARACTERS], now)
    return replace(failure, message=_ended(failure.message))


def _classify(error: BaseException, message: str, now: dt.datetime) -> Failure:
    match error:
        case IssuanceError():
            kind: FailureKind = "order" if error.abandons_order else "attempt" if error.costly else "transient"
            failure = Failure(error.reason, message, kind, by_name=error.by_name)
            return _doubted(failure) if error.answered else failure
        case SolverError():
            return Failure(error.reason, message, "transient")
        case acme.OrderFailed():
            return _doubted(_of_failed_order(error, message))
        case PersistentRecordMissing():
            return Failure("PersistentRecordMissing", message, "transient")
        case acme.UnsupportedChallenge():
            return _doubted(Failure("NoChallenge", message, "attempt"))
        case acme.AcmeError():
            failure = _of_acme(error, message, now)
            answered = isinstance(error, acme.ServerResponseError) and _is_about_an_order(error)
            # One that passes by itself says nothing against what was read.
            read_again = isinstance(error, acme.TransportError) or (answered and not error.temporary)
            return replace(failure, answered=answered, read_again=read_again, is_certain=_is_certain(error))
        case dns.DnsError():
            return _of_dns(error, message, now)
        case pki.GateRefused():
            said = f"The CA's certificate was not used: {message}. The last good one is kept."
            return _doubted(Failure("CertificateRefused", said, "attempt"))
        case pki.ChainError():
            said = f"The CA's certificate cannot be used: {message}. The last good one is kept."
            return _doubted(Failure("InvalidKeyOrChain", said, "attempt"))
        case pki.PkiError():
            return Failure("InvalidKeyOrChain", message, "attempt")
        case kube.KubeError():
            reason: Reason = "APIServerRefused" if error.status is not None else "APIServerUnreachable"
            said = f"{_ended(message)} {remedy}" if (remedy := advice(error)) else message
            return Failure(reason, said, "transient")
        case _:
            # The text of an unforeseen error may hold anything: it goes to the log only.
            return Failure(
                "InternalError",
                f"An unexpected {type(error).__name__} stopped this step; the operator's log has the details.",
                "transient",
                expected=False,
            )


def _doubted(failure: Failure) -> Failure:
    return replace(failure, answered=True, doubtful=True, read_again=True)


def attempt_pause(failed_attempts: int) -> dt.timedelta:
    """Return how long to wait after so many failed attempts (1 or more) in a row."""
    pause = ATTEMPT_PAUSES[min(failed_attempts, len(ATTEMPT_PAUSES)) - 1]
    jitter = round(random.uniform(0, ATTEMPT_JITTER) * pause.total_seconds())  # noqa: S311 - no secret
    return pause + dt.timedelta(seconds=jitter)


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


_DNS_REASONS: Final[dict[type[dns.DnsError], tuple[Reason, str]]] = {
    dns.NameserverUnreachable: (
        "DNSServerUnreachable",
        "Check that it is running, and the solver's address and port",
    ),
    dns.ProviderUnreachable: ("DNSProviderUnreachable", "Check network policies, the proxy and the provider's status"),
    dns.ProviderRefused: ("DNSProviderRefused", "Correct the credentials or the solver"),
    dns.InvalidCredential: ("InvalidCredential", "Correct the Secret, or the issuer that names it"),
    dns.UpdateRefused: ("DNSUpdateRefused", "Correct the server's policy, or the solver's nameserver and key"),
    dns.TsigRejected: ("TSIGRejected", "Compare the key's name, algorithm and secret with the server's"),
    dns.InvalidTsigKey: ("InvalidTSIGKey", "Copy it from the server's configuration"),
    dns.ZoneNotFound: ("ZoneNotFound", "Check the domain, and that the solver's nameserver serves its zone"),
    dns.CnameLoop: ("CNAMELoop", "Correct the CNAME records"),
    dns.CnameNotAllowed: (
        "CNAMENotAllowed",
        "No record was created. Correct the CNAME, or add its zone to the allowedTargets of the issuer's dns01 solver",
    ),
    dns.InvalidName: ("InvalidName", "Correct or remove the domain, or validate it by http-01"),
    dns.ResolutionFailed: ("DNSLookupFailed", "Check the domain and the solver's nameservers"),
    dns.UpdatesFailed: ("DNSUpdateFailed", ""),
}
"""For each error its reason, and what people can do."""
_DNS_OTHER: Final[tuple[Reason, str]] = ("DNSFailed", "")


def _of_dns(error: dns.DnsError, message: str, now: dt.datetime) -> Failure:
    # Providers have errors of their own below these.
    reason, remedy = next((_DNS_REASONS[kind] for kind in type(error).__mro__ if kind in _DNS_REASONS), _DNS_OTHER)
    # The package writes its messages to be continued; here they begin a sentence.
    said = message[:1].upper() + message[1:]
    if error.names and not any(name in message for name in error.names):
        said += f", for {listed(error.names)}"
    not_before = _asked(error.retry_after, now)
    return Failure(reason, f"{said}. {remedy}" if remedy else said, "transient", not_before)


def _of_failed_order(error: acme.OrderFailed, message: str) -> Failure:
    """Return the failure for an order that the CA gave up."""
    by_name = {name: str(problem) for name, problem in error.by_identifier.items()}
    said = f"{message}. The last good certificate, if any, is kept."
    return Failure("ValidationFailed" if by_name else "OrderFailed", said, "attempt", by_name=by_name)


def _asked(retry_after: float | None, now: dt.datetime) -> dt.datetime | None:
    return None if retry_after is None else now + min(dt.timedelta(seconds=retry_after), LONGEST_ASKED)


def _is_about_an_order(error: acme.ServerResponseError) -> bool:
    return not isinstance(error, acme.AccountDoesNotExist | acme.RateLimited | acme.UserActionRequired)


def _is_certain(error: acme.AcmeError) -> bool:
    """Whether nobody reached the CA's service, or would have: a CA that answers may answer others otherwise."""
    match error:
        case acme.ConnectionFailed():
            return not error.request_sent
        case acme.UntrustedServer() | acme.AddressRefused() | acme.ExternalAccountRequired():
            return True
        case _:
            return False


def _of_acme(error: acme.AcmeError, message: str, now: dt.datetime) -> Failure:
    asked = None if error.retry_after is None else dt.timedelta(seconds=error.retry_after)
    not_before = _asked(error.retry_after, now)
    match error:
        case acme.AccountDoesNotExist():
            return Failure("AccountUnknown", message, "account", not_before)
        case acme.RateLimited():
            until = error.retry_at or now + (asked or UNSAID_RATE_LIMIT)
            return Failure("RateLimited", message, "transient", until)
        case acme.UserActionRequired():
            return Failure(
                "UserActionRequired", _with_terms(error, message), "transient", not_before or now + USER_ACTION_PAUSE
            )
        case acme.ProblemError():
            if error.status == HTTPStatus.NOT_FOUND:
                return Failure("OrderGone", message, "order", not_before)
            by_name = {name: str(problem) for name, problem in error.problem.by_identifier.items()}
            kind: FailureKind = "transient" if error.temporary else "attempt"
            if isinstance(error, acme.InvalidContact):
                message += ". Correct the issuer's spec.acme.email, or leave it out"
            return Failure(_ACME_REASONS.get(type(error), "CARefused"), message, kind, not_before, by_name)
        case acme.UntrustedServer():
            where = " in the issuer's spec.acme.caBundle" if message.endswith("CA bundle") else ""
            return Failure("CAUntrusted", f"{message}{where}", "transient", not_before)
        case acme.InvalidTrustBundle():
            return Failure(
                "InvalidCABundle", f"{message}. Correct the issuer's spec.acme.caBundle", "transient", not_before
            )
        case acme.AddressRefused():
            return Failure(
                "CAAddressRefused",
                f"{message}. Correct the issuer's spec.acme.server or proxy",
                "transient",
                not_before,
            )
        case acme.ResponseTooLarge() | acme.UnsafeUrl():
            # It was reached, and answered nonsense. (The URL in an issuer is https: the CRD sees to that.)
            return Failure("CAMalformedResponse", message, "transient", not_before)
        case acme.TransportError() | acme.ServiceUnavailable():
            return Failure("CAUnreachable", _with_field(message), "transient", not_before)
        case acme.ServerResponseError():
            return Failure("CAMalformedResponse", message, "transient", not_before)
        case _:
            return Failure("ACMEFailed", message, "transient", not_before)


_FIELDS: Final = {
    "client certificate": "the issuer's spec.acme.clientCertificateSecretRef",
    "user name or password": (
        "the Secret of the issuer's spec.acme.proxy.credentialsSecretRef, or the operator's HTTPS_PROXY"
    ),
    "the proxy does not allow": "the rules of the proxy, and which one the issuer's spec.acme.proxy names",
}
"""What to check, by what the message of a connection that failed says."""


def _with_field(message: str) -> str:
    """Name the field that a connection failed because of, if it is one."""
    field = next((field for words, field in _FIELDS.items() if words in message), None)
    return message if field is None else f"{message}. Check {field}"


def _with_terms(error: acme.UserActionRequired, message: str) -> str:
    """Say how to agree to the CA's terms without a browser, if it names them."""
    terms = page_url(error.terms_of_service)
    if terms is None or len(terms) > MAX_TERMS:
        return message
    return (
        f"{message}. If the CA wants you to agree to its terms of service, read them, and set the issuer's "
        f"spec.acme.acceptedTerms to {terms}"
    )


_ACME_REASONS: Final[dict[type[acme.ProblemError], Reason]] = {
    acme.RejectedIdentifier: "RejectedIdentifier",
    acme.UnsupportedIdentifier: "RejectedIdentifier",
    acme.CaaForbids: "CAAForbids",
    acme.Unauthorized: "Unauthorized",
    acme.InvalidProfile: "InvalidProfile",
    acme.BadCsr: "BadCSR",
    acme.ServerInternal: "CAInternalError",
    acme.BadNonce: "BadNonce",
    acme.ExternalAccountRequired: "ExternalAccountRequired",
    acme.InvalidContact: "InvalidContact",
}
