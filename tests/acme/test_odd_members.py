"""Whatever JSON a CA sends in place of an object or a member, it is read or refused, and nothing else happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import Account, AcmeError, Authorization, Directory, Headers, Order, RenewalInfo, Response
from certwright.acme.transport import UrlPolicy
from certwright.http.retry_after import MAX_RETRY_AFTER, retry_after_seconds
from tests.fakes.time import FakeTime

if TYPE_CHECKING:
    from collections.abc import Callable

URLS = UrlPolicy()
URL = "https://ca.test/x"
CHALLENGE = {"type": "dns-01", "url": URL, "status": "pending", "token": "abc", "validated": "", "error": None}
WHOLE: dict[str, dict[str, Any]] = {
    "directory": {
        **dict.fromkeys(("newNonce", "newAccount", "newOrder", "newAuthz", "revokeCert", "keyChange"), URL),
        "renewalInfo": URL,
        "meta": {"termsOfService": URL, "website": URL, "caaIdentities": ["ca.test"], "profiles": {"a": "b"}},
    },
    "account": {"status": "valid", "contact": ["mailto:a@a.example"], "orders": URL, "termsOfServiceAgreed": True},
    "order": {
        "status": "pending",
        "identifiers": [{"type": "dns", "value": "a.example"}],
        "authorizations": [URL],
        "finalize": URL,
        **dict.fromkeys(("expires", "notBefore", "notAfter"), "2026-01-01T00:00:00Z"),
        **dict.fromkeys(("profile", "replaces", "certificate"), "x"),
        "error": {"type": "x", "subproblems": []},
    },
    "authorization": {
        "status": "pending",
        "identifier": {"type": "dns", "value": "a.example"},
        "wildcard": False,
        "expires": "2026-01-01T00:00:00Z",
        "challenges": [CHALLENGE],
    },
    "renewalInfo": {
        "suggestedWindow": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
        "explanationURL": URL,
    },
}
NEEDED = {
    "directory": {"newNonce", "newAccount", "newOrder"},
    "account": {"status"},
    "order": {"status", "identifiers", "authorizations", "finalize"},
    "authorization": {"status", "identifier", "challenges"},
    "renewalInfo": {"suggestedWindow"},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def read(kind: str, document: object) -> object:
    response = Response(200, Headers({"Content-Type": "application/json"}), json.dumps(document).encode(), URL)
    match kind:
        case "directory":
            return Directory.parse(response, URLS)
        case "account":
            return Account.parse(response, URL, URLS)
        case "order":
            return Order.parse(response, URL, URLS)
        case "authorization":
            return Authorization.parse(response, URL, URLS)
    return RenewalInfo.parse(response, URLS)


def complaint(reading: Callable[[], object]) -> str | None:
    """Return what an error of this package says, or None if there is none; any other is a defect."""
    try:
        reading()
    except AcmeError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", WHOLE)
@given(data=st.data(), value=JSON)
def test_a_member_that_no_step_needs_may_be_anything(kind: str, data: st.DataObject, value: object) -> None:
    name = data.draw(st.sampled_from(sorted(set(WHOLE[kind]) - NEEDED[kind])))
    read(kind, {**WHOLE[kind], name: value})


@pytest.mark.parametrize("kind", WHOLE)
@given(data=st.data(), value=JSON)
def test_one_that_is_needed_is_read_or_refused(kind: str, data: st.DataObject, value: object) -> None:
    name = data.draw(st.sampled_from(sorted(NEEDED[kind])))
    refusal = complaint(lambda: read(kind, {**WHOLE[kind], name: value}))
    assert refusal is None or name in refusal


@pytest.mark.parametrize("kind", WHOLE)
@given(value=JSON)
def test_so_is_a_whole_answer(kind: str, value: object) -> None:
    assert complaint(lambda: read(kind, value)) is not None or isinstance(value, dict)


@given(member=st.sampled_from(sorted(CHALLENGE)), value=JSON)
def test_a_challenge_is_read_or_left_out_and_refused_if_it_is_chosen(member: str, value: object) -> None:
    found = read("authorization", {**WHOLE["authorization"], "challenges": [{**CHALLENGE, member: value}]})
    assert isinstance(found, Authorization)
    refusal = complaint(lambda: found.challenge("dns-01"))
    assert refusal is None or member in refusal


@given(value=st.text(max_size=60) | st.from_regex(r"[0-9TZ:. ,+-]{0,40}", fullmatch=True))
def test_a_wait_is_between_none_and_a_week(value: str) -> None:
    found = retry_after_seconds(Headers({"Retry-After": value}), now=FakeTime().now)
    assert found is None or 0 <= found <= MAX_RETRY_AFTER
