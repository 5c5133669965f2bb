"""The objects of section 7.1 as a server sends them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from certwright.acme import (
    Account,
    AccountKey,
    AccountStatus,
    Authorization,
    Challenge,
    Directory,
    Headers,
    Identifier,
    MalformedResponse,
    NotOffered,
    Order,
    OrderFailed,
    Response,
    UnsafeUrl,
)
from certwright.acme.challenge import dns01_value, key_authorization
from certwright.acme.directory import DirectoryMeta
from certwright.acme.fields import Fields
from certwright.acme.transport import UrlPolicy
from tests.fakes.pki import make_leaf

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from certwright.acme import Client
    from tests.fakes.acme import FakeCa

URLS = UrlPolicy()
URL = "https://ca.test/order/1"
UNREADABLE: list[object] = ["", "tomorrow", 7, []]
DIRECTORY = {
    "newNonce": "https://ca.test/nonce",
    "newAccount": "https://ca.test/account",
    "newOrder": "https://ca.test/order",
}
ORDER = {
    "status": "pending",
    "identifiers": [{"type": "dns", "value": "a.example"}],
    "authorizations": ["https://ca.test/authz/1"],
    "finalize": "https://ca.test/finalize/1",
}
CHALLENGE = {"type": "dns-01", "url": "https://ca.test/chall/1", "status": "pending", "token": "abc_-DEF"}
AUTHORIZATION = {
    "status": "pending",
    "identifier": {"type": "dns", "value": "a.example"},
    "challenges": [CHALLENGE],
}


def sent(document: object) -> Response:
    return Response(200, Headers({"Content-Type": "application/json"}), json.dumps(document).encode(), URL)


def order(**members: Any) -> Order:
    return Order.parse(sent({**ORDER, **members}), URL, URLS)


def authorization(**members: Any) -> Authorization:
    return Authorization.parse(sent({**AUTHORIZATION, **members}), URL, URLS)


def challenge(**members: Any) -> Challenge:
    return Challenge.parse(Fields.of(sent({**CHALLENGE, **members}), "the challenge", URLS))


class TestDirectory:
    def test_three_urls_are_enough_and_the_rest_is_optional(self) -> None:
        directory = Directory.parse(sent(DIRECTORY), URLS)
        assert directory.new_order == "https://ca.test/order"
        assert directory.revoke_cert is None
        assert directory.meta.profiles == {}
        assert directory.meta.external_account_required is False

    def test_the_meta_is_typed(self) -> None:
        meta = {
            "termsOfService": "https://ca.test/terms",
            "website": "https://ca.test/",
            "caaIdentities": ["ca.test"],
            "externalAccountRequired": True,
            "profiles": {"classic": "as it\nalways was"},
            "accountHashPrefix": "https://ca.test/hashed/",
            "unheardOf": [],
        }
        found = Directory.parse(sent({**DIRECTORY, "meta": meta, "renewalInfo": "https://ca.test/ari"}), URLS)
        assert found.renewal_info == "https://ca.test/ari"
        assert found.meta.terms_of_service == "https://ca.test/terms"
        assert found.meta.caa_identities == ("ca.test",)
        assert found.meta.external_account_required is True
        assert found.meta.account_hash_prefix == "https://ca.test/hashed/"
        assert found.meta.profiles == {"classic": "as it always was"}

    @pytest.mark.parametrize("name", sorted(DIRECTORY))
    def test_a_missing_url_is_named(self, name: str) -> None:
        with pytest.raises(MalformedResponse, match=f"'{name}' of the directory is missing"):
            Directory.parse(sent({key: value for key, value in DIRECTORY.items() if key != name}), URLS)

    @pytest.mark.parametrize("name", sorted(DIRECTORY))
    def test_no_url_that_every_issuance_needs_may_be_plain_http(self, name: str) -> None:
        with pytest.raises(UnsafeUrl, match=f"'{name}' of the directory"):
            Directory.parse(sent({**DIRECTORY, name: "http://ca.test/x"}), URLS)

    @pytest.mark.parametrize("name", ["revokeCert", "newAuthz", "renewalInfo", "keyChange"])
    @pytest.mark.parametrize("value", ["http://ca.test/x", "", 7, None, [], "nonsense"])
    async def test_the_others_are_checked_when_they_are_requested(
        self, client: Client, ca: FakeCa, name: str, value: object
    ) -> None:
        ca.reply("/dir", lambda _: ca.json({**ca.directory(), name: value}))
        assert (await client.new_order([Identifier.dns("a.example")])).status == "pending"
        del ca.requests[:]
        requests: dict[str, Callable[[], Awaitable[Any]]] = {
            "revokeCert": lambda: client.revoke_certificate(b"x"),
            "newAuthz": lambda: client.new_authorization(Identifier.dns("a.example")),
            "renewalInfo": lambda: client.fetch_renewal_info(make_leaf(key_id=b"k", subject="leaf.example")),
            "keyChange": lambda: client.change_key(AccountKey.generate()),
        }
        with pytest.raises((UnsafeUrl, NotOffered)):
            await requests[name]()
        assert ca.paths() == []

    @pytest.mark.parametrize(
        ("meta", "profiles"),
        [
            ([], []),
            ("x", []),
            ({"profiles": ["x", None]}, ["x"]),
            ({"profiles": {"x": 1}}, ["x"]),
            ({"externalAccountRequired": "yes", "termsOfService": 1, "website": [], "accountHashPrefix": {}}, []),
            ({"caaIdentities": [1, None, ""], "termsOfService": ""}, []),
        ],
    )
    def test_a_meta_of_the_wrong_shape_says_nothing(self, meta: object, profiles: list[str]) -> None:
        found = Directory.parse(sent({**DIRECTORY, "meta": meta}), URLS).meta
        assert list(found.profiles) == profiles
        assert found == DirectoryMeta(profiles=found.profiles)

    def test_one_caa_identity_need_not_be_a_list(self) -> None:
        found = Directory.parse(sent({**DIRECTORY, "meta": {"caaIdentities": "ca.test"}}), URLS)
        assert found.meta.caa_identities == ("ca.test",)


class TestAccount:
    def test_the_fewest_members_are_enough(self) -> None:
        assert Account.parse(sent({"status": "valid"}), URL, URLS) == Account(URL, "valid")  # type: ignore[arg-type]  # equal to the enum

    @pytest.mark.parametrize("contact", [None, "", [None], [1, "mailto:a@a.example"], {}, [[]]])
    @pytest.mark.parametrize("orders", [None, "", 7, "http://ca.test/orders"])
    def test_what_nobody_needs_may_have_any_shape(self, contact: object, orders: object) -> None:
        found = Account.parse(sent({"status": "valid", "contact": contact, "orders": orders}), URL, URLS)
        assert found.contact in ((), ("mailto:a@a.example",))

    @pytest.mark.parametrize("body", [b"", b"\n", b"{}", b'{"status": null}', b'{"status": ""}'])
    def test_a_success_that_says_nothing_is_a_valid_account(self, body: bytes) -> None:
        response = Response(200, Headers({"Content-Type": "application/json"} if body.strip() else {}), body, URL)
        assert Account.parse(response, URL, URLS) == Account(URL, AccountStatus.VALID)

    @pytest.mark.parametrize("document", [[], {"status": "new"}, {"status": 1}])
    def test_other_shapes_are_malformed(self, document: object) -> None:
        with pytest.raises(MalformedResponse):
            Account.parse(sent(document), URL, URLS)


class TestOrder:
    def test_all_members_are_read(self) -> None:
        found = order(
            status="valid",
            authorizations=["https://ca.test/authz/1"] * 2,
            certificate="https://ca.test/cert/1",
            expires="2030-01-02T03:04:05+02:00",
            notBefore="2029-01-01T00:00:00Z",
            notAfter="2029-02-01T00:00:00.5Z",
            profile="classic",
            error={"type": "urn:ietf:params:acme:error:caa"},
            unheardOf=1,
        )
        assert found.status == "valid"
        assert found.identifiers == (Identifier.dns("a.example"),)
        assert found.authorization_urls == ("https://ca.test/authz/1",)
        assert found.certificate_url == "https://ca.test/cert/1"
        assert found.expires == datetime(2030, 1, 2, 1, 4, 5, tzinfo=UTC)
        assert found.not_after == datetime(2029, 2, 1, 0, 0, 0, 500_000, tzinfo=UTC)
        assert found.profile == "classic"
        assert found.error is not None
        assert found.error.kind == "caa"

    @pytest.mark.parametrize(
        ("members", "name"),
        [
            ({"status": "strange"}, "status"),
            ({"status": None}, "status"),
            ({"finalize": None}, "finalize"),
            ({"finalize": 7}, "finalize"),
            ({"authorizations": "x"}, "authorizations"),
            ({"authorizations": [7]}, "authorizations"),
            (
                {"authorizations": [f"https://ca.test/authz/{n}" for n in range(1001)]},
                "too long: 1001 for 1 identifiers",
            ),
            (
                {"authorizations": ["https://ca.test/authz/1", "https://ca.test/authz/2"]},
                "too long: 2 for 1 identifiers",
            ),
            ({"identifiers": [{"type": "dns"}]}, "value"),
            ({"identifiers": [{"type": "dns", "value": "a\nb"}]}, "value"),
            ({"identifiers": [{"type": "dns", "value": ""}]}, "value"),
            ({"identifiers": [{"type": "dns", "value": "a" * 256}]}, "value"),
            ({"identifiers": ["a.example"]}, "identifiers"),
            ({"status": "valid"}, "certificate"),
        ],
    )
    def test_other_shapes_are_malformed_and_the_member_is_named(self, members: dict[str, Any], name: str) -> None:
        with pytest.raises(MalformedResponse, match=name):
            order(**members)

    @pytest.mark.parametrize(
        "members",
        [
            {"finalize": "http://ca.test/f"},
            {"authorizations": ["file:///x"]},
            {"certificate": "//x", "status": "valid"},
            {"certificate": "http://ca.test/c", "status": "valid"},
        ],
    )
    def test_the_urls_that_the_next_step_needs_are_checked(self, members: dict[str, Any]) -> None:
        with pytest.raises(UnsafeUrl):
            order(**members)

    @pytest.mark.parametrize(
        "members",
        [
            *({"expires": value} for value in UNREADABLE),
            *({"notBefore": value} for value in UNREADABLE),
            *({"notAfter": value} for value in UNREADABLE),
            {"expires": "2030-01-02T03:04:05"},
            {"expires": "0001-01-01T00:00:00+14:00"},
            {"profile": 7, "replaces": []},
            {"certificate": ""},
            {"certificate": "http://ca.test/early"},
            {"error": None},
            {"error": ""},
            {"error": []},
            {"error": {}},
        ],
    )
    def test_what_the_next_step_does_not_need_may_have_any_shape(self, members: dict[str, Any]) -> None:
        assert order(**members) == order()

    def test_an_error_may_be_a_text(self) -> None:
        error = order(status="invalid", error="the signer is\nout of order").error
        assert error is not None
        assert error.detail == "the signer is out of order"

    @pytest.mark.parametrize("status", ["processing", "valid", "invalid"])
    @pytest.mark.parametrize(
        "members",
        [
            {"finalize": None},
            {"finalize": ""},
            {"finalize": "http://ca.test/f"},
            {"authorizations": None},
            {"authorizations": [None]},
            {"authorizations": "x"},
            {"authorizations": ["http://ca.test/authz/1"]},
            {"identifiers": [None]},
            {"identifiers": None},
        ],
    )
    def test_an_order_that_is_finalized_keeps_what_was_known(self, members: dict[str, Any], status: str) -> None:
        answer = sent({**ORDER, "certificate": "https://ca.test/cert/1", **members, "status": status})
        found = Order.parse(answer, URL, URLS, known=order())
        known = order()
        assert (found.status, found.identifiers, found.finalize_url, found.authorization_urls) == (
            status,
            known.identifiers,
            known.finalize_url,
            known.authorization_urls,
        )

    def test_a_state_may_be_in_capitals_and_a_url_a_path_of_the_server(self) -> None:
        found = order(status="Pending", finalize="/finalize/1", authorizations=["/authz/1"])
        assert (found.status, found.finalize_url) == ("pending", "https://ca.test/finalize/1")
        assert found.authorization_urls == ("https://ca.test/authz/1",)


class TestAuthorization:
    def test_a_wildcard_has_its_name_as_ordered(self) -> None:
        assert authorization(wildcard=True).name == "*.a.example"
        assert authorization().name == "a.example"

    def test_a_challenge_is_found_by_type(self) -> None:
        found = authorization()
        assert found.challenge("dns-01") == found.challenges[0]
        assert found.challenge("http-01") is None

    def test_a_challenge_of_an_unknown_type_needs_no_token(self) -> None:
        unknown = {"type": "dns-persist-01", "url": "https://ca.test/c", "status": "pending", "issuer-domain-names": []}
        assert authorization(challenges=[unknown]).challenges[0].token is None

    def test_its_error_is_that_of_the_challenge(self) -> None:
        failed = {
            **CHALLENGE,
            "status": "invalid",
            "error": {"type": "urn:ietf:params:acme:error:dns", "detail": "no TXT"},
        }
        error = authorization(status="invalid", challenges=[{**CHALLENGE, "type": "http-01"}, failed]).error
        assert error is not None
        assert error.detail == "no TXT"

    @pytest.mark.parametrize("value", ["*.a.example", "*.A.Example."])
    def test_the_asterisk_may_be_left_in_the_identifier(self, value: str) -> None:
        found = authorization(identifier={"type": "DNS", "value": value})
        assert (found.identifier, found.wildcard, found.name) == (Identifier.dns("a.example"), True, "*.a.example")

    @pytest.mark.parametrize("wildcard", [None, "", "no", 0, []])
    def test_a_wildcard_that_is_no_boolean_is_none(self, wildcard: object) -> None:
        assert authorization(wildcard=wildcard).wildcard is False

    @pytest.mark.parametrize(
        "odd",
        [
            None,
            7,
            "x",
            {},
            {"type": "new-99"},
            {"type": "new-99", "status": "contemplating", "url": 7, "token": []},
            {"type": "new-99", "url": "http://ca.test/x", "status": "pending"},
            {**CHALLENGE, "type": "http-01", "token": "../../etc"},
            {**CHALLENGE, "type": "http-01", "token": None},
            {**CHALLENGE, "type": "http-01", "status": None},
            {**CHALLENGE, "type": "http-01", "url": ""},
        ],
    )
    def test_a_challenge_that_is_not_chosen_may_have_any_shape(self, odd: object) -> None:
        found = authorization(challenges=[odd, CHALLENGE], expires="")
        assert found.challenge("dns-01") == found.challenges[0]

    @pytest.mark.parametrize(
        ("members", "error"),
        [
            ({"token": "../../etc"}, MalformedResponse),
            ({"token": None}, MalformedResponse),
            ({"status": None}, MalformedResponse),
            ({"status": "contemplating"}, MalformedResponse),
            ({"url": None}, MalformedResponse),
            ({"url": "http://ca.test/x"}, UnsafeUrl),
        ],
    )
    def test_one_that_is_chosen_must_be_sound(self, members: dict[str, Any], error: type[Exception]) -> None:
        with pytest.raises(error, match=r"challenges\[0\]"):
            authorization(challenges=[{**CHALLENGE, **members}]).challenge("dns-01")

    @pytest.mark.parametrize("members", [{"identifier": None}, {"status": "ready"}, {"challenges": "x"}])
    def test_other_shapes_are_malformed(self, members: dict[str, Any]) -> None:
        with pytest.raises(MalformedResponse):
            authorization(**members)


class TestChallenge:
    @pytest.mark.parametrize("kind", ["http-01", "dns-01", "tls-alpn-01", "dns-account-01"])
    def test_a_pending_challenge_whose_proof_is_a_token_has_one(self, kind: str) -> None:
        with pytest.raises(MalformedResponse, match=r"'token' of .* is missing"):
            challenge(type=kind, token=None)
        assert challenge(type=kind, token=None, status="valid").token is None

    @pytest.mark.parametrize("validated", ["", "soon", 7, None])
    @pytest.mark.parametrize("error", ["", [], None, 7, {}])
    def test_what_is_only_told_may_have_any_shape(self, validated: object, error: object) -> None:
        assert challenge(validated=validated, error=error) == challenge()

    @pytest.mark.parametrize("token", ["../../etc/passwd", "a b", "", "a=", "é", "x" * 513, 5])
    def test_a_token_is_base64url_and_nothing_else(self, token: object) -> None:
        with pytest.raises(MalformedResponse, match="token"):
            challenge(token=token)

    def test_when_it_was_validated_is_read(self) -> None:
        assert challenge(status="valid", validated="2026-01-01T00:00:00Z").validated == datetime(2026, 1, 1, tzinfo=UTC)

    def test_the_key_authorization_of_rfc_8555_section_8_1(self) -> None:
        token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
        thumbprint = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        assert key_authorization(token, thumbprint) == f"{token}.{thumbprint}"

    def test_the_value_of_dns_01_is_the_hash_of_it(self) -> None:
        # Computed with: printf a.b | openssl dgst -sha256 -binary | basenc --base64url
        assert dns01_value("a.b") == "LnM23I66h-9HLfVow1SCq_JXXcPl6sDFxiuP-urCyTQ"

    def test_a_hostile_token_never_becomes_a_proof(self) -> None:
        with pytest.raises(ValueError, match="base64url"):
            key_authorization("../x", "thumbprint")


class TestOrderFailed:
    @staticmethod
    def failed(value: str, detail: str | None, *, wildcard: bool = False) -> Authorization:
        error = {} if detail is None else {"error": {"type": "urn:ietf:params:acme:error:dns", "detail": detail}}
        return authorization(
            status="invalid",
            wildcard=wildcard,
            identifier={"type": "dns", "value": value},
            challenges=[{**CHALLENGE, "status": "invalid", **error}],
        )

    def test_the_names_that_failed_are_told_and_no_other(self) -> None:
        fine = authorization(status="valid", identifier={"type": "dns", "value": "fine.example"})
        error = OrderFailed.of(order(status="invalid"), [fine, self.failed("bad.example", "no TXT", wildcard=True)])
        assert list(error.by_identifier) == ["*.bad.example"]
        assert str(error) == "The order failed: *.bad.example: dns: no TXT"

    def test_the_subproblems_of_the_order_fill_the_gaps(self) -> None:
        subproblems = [
            {"type": "caa", "detail": detail, "identifier": {"type": "dns", "value": value}}
            for value, detail in (("bad.example", "worse told"), ("other.example", "forbidden"))
        ]
        failed = order(status="invalid", error={"type": "compound", "subproblems": subproblems})
        error = OrderFailed.of(
            failed, [self.failed("bad.example", "no TXT", wildcard=True), self.failed("silent.example", None)]
        )
        assert {name: problem.detail for name, problem in error.by_identifier.items()} == {
            "*.bad.example": "no TXT",
            "other.example": "forbidden",
        }

    def test_without_names_the_error_of_the_order_is_told(self) -> None:
        failed = order(status="invalid", error={"type": "urn:ietf:params:acme:error:serverInternal", "detail": "oops"})
        assert str(OrderFailed.of(failed, [])) == "The order failed: serverInternal: oops"
        assert "no reason" in str(OrderFailed.of(order(status="invalid"), []))

    def test_of_many_names_only_some_are_in_the_message(self) -> None:
        failures = [self.failed(f"n{number}.example", "no TXT") for number in range(100)]
        error = OrderFailed.of(order(status="invalid"), failures)
        assert len(error.by_identifier) == 100
        assert str(error).endswith("and 95 more names")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b"[" * 60_000, b'{"a":' * 20_000, b"9" * 9000]
)
def test_what_is_no_complete_json_object_is_malformed(body: bytes) -> None:
    response = Response(200, Headers({"Content-Type": "application/json"}), body, URL)
    with pytest.raises(MalformedResponse, match="not a complete JSON object"):
        Fields.of(response, "the order", URLS)


@pytest.mark.parametrize("media_type", ["text/html", "", "application/jsonp", "text/json\x1b"])
def test_what_does_not_come_as_json_is_malformed(media_type: str) -> None:
    response = Response(200, Headers({"Content-Type": media_type}), b"{}", URL)
    with pytest.raises(MalformedResponse, match="instead of application/json"):
        Fields.of(response, "the order", URLS)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01t12:00:00z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01T12:00:00.123456789+01:00", datetime(2026, 3, 1, 11, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_times_are_those_of_rfc_3339(text: str, instant: datetime) -> None:
    assert order(expires=text).expires == instant
