from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright import acme, dns, pki
from certwright.dns.hosted.listing import ListTooLong
from certwright.dns.hosted.provider import Outdated
from certwright.failures import (
    MAX_MESSAGE_CHARACTERS,
    IssuanceError,
    attempt_pause,
    classify,
)
from certwright.kube import errors as kube
from certwright.runtime.backoff import pause_after

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
HOST = "ca.example.test"
URL = f"https://{HOST}/new-order"


def problem(
    kind: type[acme.ProblemError], *, status: int = 403, names: tuple[str, ...] = (), wait: float | None = None
) -> acme.ProblemError:
    subproblems = tuple(acme.Subproblem(detail="no", identifier=acme.Identifier.dns(name)) for name in names)
    said = acme.Problem(type="urn:ietf:params:acme:error:any", detail="because", subproblems=subproblems)
    return kind(said, action="newOrder", url=URL, status=status, retry_after=wait)


@pytest.mark.parametrize(
    ("error", "reason", "kind"),
    [
        (problem(acme.RejectedIdentifier), "RejectedIdentifier", "attempt"),
        (problem(acme.UnsupportedIdentifier), "RejectedIdentifier", "attempt"),
        (problem(acme.CaaForbids), "CAAForbids", "attempt"),
        (problem(acme.Unauthorized), "Unauthorized", "attempt"),
        (problem(acme.InvalidProfile), "InvalidProfile", "attempt"),
        (problem(acme.BadCsr), "BadCSR", "attempt"),
        (problem(acme.ExternalAccountRequired), "ExternalAccountRequired", "attempt"),
        (problem(acme.InvalidContact), "InvalidContact", "attempt"),
        (problem(acme.AlreadyReplaced), "CARefused", "attempt"),
        (problem(acme.ProblemError), "CARefused", "attempt"),
        (problem(acme.ServerInternal, status=500), "CAInternalError", "transient"),
        (problem(acme.BadNonce, status=400), "BadNonce", "transient"),
        (problem(acme.RateLimited, status=429), "RateLimited", "transient"),
        (problem(acme.UserActionRequired), "UserActionRequired", "transient"),
        (problem(acme.AccountDoesNotExist, status=400), "AccountUnknown", "account"),
        (problem(acme.ProblemError, status=404), "OrderGone", "order"),
        (acme.UntrustedServer("not trusted", host=HOST, reason="self-signed"), "CAUntrusted", "transient"),
        (acme.ConnectionFailed("refused", host=HOST, request_sent=False), "CAUnreachable", "transient"),
        (acme.TimedOut("too slow", host=HOST), "CAUnreachable", "transient"),
        (acme.ResponseTooLarge("too much", host=HOST), "CAMalformedResponse", "transient"),
        (acme.ServiceUnavailable("down", url=URL, status=503), "CAUnreachable", "transient"),
        (acme.MalformedResponse("HTML", url=URL, status=200), "CAMalformedResponse", "transient"),
        (acme.RedirectRefused("elsewhere", url=URL, status=302), "CAMalformedResponse", "transient"),
        (acme.InvalidTrustBundle("no certificate in it"), "InvalidCABundle", "transient"),
        (acme.UnsafeUrl("http"), "CAMalformedResponse", "transient"),
        (dns.NameserverUnreachable("ns1", "silence"), "DNSServerUnreachable", "transient"),
        (dns.ProviderUnreachable("down", host="api.dns.example"), "DNSProviderUnreachable", "transient"),
        (dns.ProviderRefused("no right", host="api.dns.example"), "DNSProviderRefused", "transient"),
        (ListTooLong("too many zones", host="api.dns.example"), "DNSProviderRefused", "transient"),
        (Outdated(), "DNSFailed", "transient"),
        (dns.InvalidCredential("the API token is empty"), "InvalidCredential", "transient"),
        (dns.UpdateRefused("ns1", "example.test", "REFUSED", "no"), "DNSUpdateRefused", "transient"),
        (dns.TsigRejected("ns1", "key", "BADSIG", "no"), "TSIGRejected", "transient"),
        (dns.InvalidTsigKey("no base64"), "InvalidTSIGKey", "transient"),
        (dns.ZoneNotFound("no zone"), "ZoneNotFound", "transient"),
        (dns.CnameLoop(["a", "b", "a"], looped=True), "CNAMELoop", "transient"),
        (dns.ResolutionFailed("nobody knows"), "DNSLookupFailed", "transient"),
        (dns.UpdatesFailed([dns.ZoneNotFound("no zone")]), "DNSUpdateFailed", "transient"),
        (dns.MalformedAnswer("ns1"), "DNSFailed", "transient"),
        (pki.KeyMismatch(), "CertificateRefused", "attempt"),
        (pki.MissingNames(["a.example.test"]), "CertificateRefused", "attempt"),
        (pki.ChainError("no PEM"), "InvalidKeyOrChain", "attempt"),
        (kube.Forbidden("write it", status=403, reason="Forbidden"), "APIServerRefused", "transient"),
        (kube.Unreachable("write it"), "APIServerUnreachable", "transient"),
        (IssuanceError("OrderFailed", "Own words."), "OrderFailed", "transient"),
        (IssuanceError("OrderFailed", "Own words.", costly=True), "OrderFailed", "attempt"),
        (IssuanceError("OrderChanged", "Own words.", abandons_order=True), "OrderChanged", "order"),
        (RuntimeError("secret words"), "InternalError", "transient"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_an_error_means(error: Exception, reason: str, kind: str) -> None:
    failure = classify(error, NOW)
    assert (failure.reason, failure.kind) == (reason, kind)
    assert failure.expected == (reason != "InternalError")
    assert failure.message.endswith(".")
    assert not failure.message.endswith("..")


def test_the_text_of_an_unforeseen_error_is_for_the_log_only() -> None:
    assert "secret words" not in classify(RuntimeError("secret words"), NOW).message


def test_it_says_which_names_the_ca_refused() -> None:
    failure = classify(problem(acme.RejectedIdentifier, names=("a.example.test", "*.b.example.test")), NOW)
    assert set(failure.by_name or {}) == {"a.example.test", "*.b.example.test"}


def test_a_dns_error_says_which_names_it_is_about() -> None:
    error = dns.ZoneNotFound("no zone holds it")
    error.names = tuple(f"_acme-challenge.{name}" for name in "abcde")
    said = classify(error, NOW).message
    assert said.startswith("No zone holds it, for _acme-challenge.a, _acme-challenge.b, _acme-challenge.c and 2 more.")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ("it requires a client certificate", "spec.acme.clientCertificateSecretRef"),
        ("the proxy wants another user name or password (407)", "spec.acme.proxy.credentialsSecretRef"),
        ("the proxy does not allow connections to this host (403)", "spec.acme.proxy"),
    ],
)
def test_a_connection_that_is_refused_names_the_field_to_check(said: str, field: str) -> None:
    failure = classify(acme.ConnectionFailed(f"Cannot connect to {HOST}: {said}", host=HOST, request_sent=False), NOW)
    assert failure.reason == "CAUnreachable"
    assert f"{said}. Check " in failure.message
    assert field in failure.message


def test_the_trust_that_is_missing_is_named_where_it_belongs() -> None:
    untrusted = acme.UntrustedServer("not trusted; correct the CA bundle", host=HOST, reason="self-signed")
    assert "spec.acme.caBundle" in classify(untrusted, NOW).message


@pytest.mark.parametrize(
    ("terms", "is_named"),
    [("https://ca.test/terms/2", True), ("javascript:alert(1)", False), (f"https://ca.test/{'t' * 600}", False)],
)
def test_terms_to_agree_to_are_named_with_the_field_that_agrees_to_them(terms: str, *, is_named: bool) -> None:
    said = acme.Problem(type="urn:ietf:params:acme:error:userActionRequired", detail="new terms")
    error = acme.UserActionRequired(said, action="newOrder", url=URL, status=403, terms_of_service=terms)
    message = classify(error, NOW).message
    assert (f"spec.acme.acceptedTerms to {terms}." in message) is is_named
    assert "javascript" not in message


@pytest.mark.parametrize(
    ("error", "not_before"),
    [
        (problem(acme.RateLimited, status=429), NOW + dt.timedelta(hours=1)),
        (problem(acme.RateLimited, status=429, wait=5.0), NOW + dt.timedelta(seconds=5)),
        (problem(acme.UserActionRequired), NOW + dt.timedelta(hours=6)),
        (problem(acme.UserActionRequired, wait=60.0), NOW + dt.timedelta(minutes=1)),
        (problem(acme.ServerInternal, status=503, wait=30.0), NOW + dt.timedelta(seconds=30)),
        (acme.ServiceUnavailable("down", url=URL, status=503, retry_after=7.0), NOW + dt.timedelta(seconds=7)),
        (acme.ConnectionFailed("refused", host=HOST, request_sent=False), None),
        (dns.ProviderUnreachable("busy", host=HOST, retry_after=30.0), NOW + dt.timedelta(seconds=30)),
        (dns.ProviderUnreachable("busy", host=HOST, retry_after=86400.0), NOW + dt.timedelta(hours=1)),
    ],
)
def test_what_the_ca_or_a_dns_provider_asks_to_wait_is_kept(error: Exception, not_before: dt.datetime | None) -> None:
    assert classify(error, NOW).not_before == not_before


def test_a_rate_limit_that_names_its_end() -> None:
    until = NOW + dt.timedelta(days=3)
    error = acme.RateLimited(acme.Problem(), action="newOrder", url=URL, status=429, retry_after=5.0, retry_at=until)
    assert classify(error, NOW).not_before == until


@given(st.text(min_size=1))
def test_messages_are_bounded(text: str) -> None:
    for error in (
        IssuanceError("BadCSR", text * 2000),
        acme.UnsafeUrl(text * 2000),
        dns.ZoneNotFound(text * 2000),
    ):
        assert len(classify(error, NOW).message) <= MAX_MESSAGE_CHARACTERS + 200


def test_pauses_between_attempts() -> None:
    counts, minutes = (1, 2, 3, 4, 5, 1000), (1, 10, 100, 1440, 1440, 1440)
    for count, expected in zip(counts, minutes, strict=True):
        pauses = {attempt_pause(count).total_seconds() / 60 for _ in range(50)}
        assert all(expected <= pause <= expected * 1.1 for pause in pauses)
        assert len(pauses) > 1, "those that failed together do not come together"


@given(st.integers(1, 10**6))
def test_pauses_after_transient_failures_double_up_to_five_minutes(count: int) -> None:
    expected = min(2.0 * 2 ** min(count - 1, 60), 300.0)
    assert expected * 0.8 <= pause_after(count).total_seconds() <= expected * 1.2


@pytest.mark.parametrize(
    ("error", "is_certain"),
    [
        (acme.ConnectionFailed("refused", host=HOST, request_sent=False), True),
        (acme.UntrustedServer("not trusted", host=HOST, reason="self-signed"), True),
        (problem(acme.ExternalAccountRequired), True),
        (acme.ConnectionFailed("broke", host=HOST, request_sent=True), False),
        (acme.TimedOut("too slow", host=HOST), False),
        (problem(acme.ServerInternal, status=500), False),
        (problem(acme.UserActionRequired), False),
        (acme.MalformedResponse("nonsense", url=URL, status=200), False),
        (RuntimeError("a defect"), False),
    ],
)
def test_only_what_no_request_can_bring_about_says_that_a_ca_works_for_nobody(
    error: Exception,
    is_certain: bool,  # noqa: FBT001 - pytest names the arguments
) -> None:
    assert classify(error, NOW).is_certain is is_certain
