"""Renewal information (RFC 9773), `replaces`, revocation (RFC 8555 section 7.6), choice of chains (7.4.2)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from certwright.acme import (
    AccountKey,
    AlreadyReplaced,
    CertificateChainPem,
    Client,
    Headers,
    Identifier,
    InvalidCertificate,
    InvalidProfile,
    MalformedResponse,
    NoSuchChain,
    NotOffered,
    RateLimited,
    RenewalInfo,
    RenewalPlan,
    Response,
    RevocationReason,
    base64url,
    certificate_identifier,
    choose_chain,
    issuer_names,
    leads_to,
    poll_interval,
    revoke_with_certificate_key,
    still_to_be_asked,
)
from tests.fakes.pki import make_leaf

if TYPE_CHECKING:
    from certwright.acme import AcmeError
    from tests.fakes.acme import FakeCa

ORIGIN = "https://ca.test:14000"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMES = [Identifier.dns("a.example")]


class TestCertificateIdentifier:
    KEY_ID = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")

    def test_the_vector_of_rfc_9773_section_4_1(self) -> None:
        certificate = make_leaf(serial=0x87654321, key_id=self.KEY_ID)
        assert certificate_identifier(certificate) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"

    @pytest.mark.parametrize(
        ("serial", "octets"), [(0x7F, "7f"), (0x80, "0080"), (0xFFFF, "00ffff"), (1 << 152, "01" + "00" * 19)]
    )
    def test_the_serial_is_what_der_writes(self, serial: int, octets: str) -> None:
        identifier = certificate_identifier(make_leaf(serial=serial, key_id=self.KEY_ID))
        assert base64url.decode(identifier.partition(".")[2]).hex() == octets

    @pytest.mark.parametrize(
        "certificate",
        [
            b"",
            b"\x30\x03junk",
            make_leaf(),
            # Version 8, and a serial number below zero.
            make_leaf(key_id=KEY_ID).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"),
            make_leaf(serial=0x7FEDCBA9, key_id=KEY_ID).replace(b"\x02\x04\x7f\xed", b"\x02\x04\x8f\xed"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Parsed a serial number")
    def test_what_has_none_is_refused(self, certificate: bytes) -> None:
        with pytest.raises(InvalidCertificate):
            certificate_identifier(certificate)


class TestWindow:
    @given(st.integers(0, 10**6), st.integers(1, 10**7), st.integers())
    def test_the_instant_is_in_the_window(self, offset: int, width: int, seed: int) -> None:
        start = NOW + timedelta(seconds=offset)
        info = RenewalInfo(start, start + timedelta(seconds=width))
        assert info.start <= info.choose(rng=random.Random(seed)) <= info.end  # noqa: S311 - repeatable

    def test_all_of_the_window_is_used(self) -> None:
        info = RenewalInfo(NOW, NOW + timedelta(days=10))
        chosen = [(info.choose() - NOW) / timedelta(days=1) for _ in range(2000)]
        tenths = [sum(tenth <= day < tenth + 1 for day in chosen) for tenth in range(10)]
        # 200 in each, with a standard deviation of 13.
        assert min(tenths) > 110
        assert max(tenths) < 290

    def test_the_instant_is_kept_while_the_window_is(self) -> None:
        info = RenewalInfo(NOW, NOW + timedelta(days=10))
        plan = RenewalPlan.follow(info)
        assert RenewalPlan.follow(info, plan) is plan
        for start, end in ((1, 10), (0, 2)):
            moved = RenewalInfo(NOW + timedelta(days=start), NOW + timedelta(days=end))
            assert (again := RenewalPlan.follow(moved, plan)) is not plan
            assert moved.start <= again.at <= moved.end

    def test_the_instant_is_kept_in_another_window_that_contains_it(self) -> None:
        plan = RenewalPlan(NOW, NOW + timedelta(days=10), NOW + timedelta(days=4))
        moved = RenewalPlan.follow(RenewalInfo(NOW + timedelta(days=3), NOW + timedelta(days=5)), plan)
        assert moved == RenewalPlan(NOW + timedelta(days=3), NOW + timedelta(days=5), plan.at)

    @pytest.mark.parametrize(
        ("window", "early", "hours"),
        [
            ((20, 22), 0, 21 * 24),
            ((-2, -1), 0, 0),
            ((0, 90), 0, None),
            ((-1000, 1000), 0, None),
            ((91, 92), 0, None),
            ((89, 91), 0, 81 * 24),
            ((-2, -1), 1, None),
            ((0.001, 0.02), 1, 1),
            ((0.001, 0.02), 2, 6),
            ((0.001, 0.02), 99, 30 * 24),
        ],
    )
    def test_a_plan_is_followed_within_the_lifetime_only(
        self, window: tuple[float, float], early: int, hours: float | None
    ) -> None:
        start, end = (NOW + timedelta(days=days) for days in window)
        plan = RenewalPlan(start, end, start + (end - start) / 2)
        at = plan.within(NOW, NOW + timedelta(days=90), early_renewals=early)
        assert at == (None if hours is None else NOW + timedelta(hours=hours))

    def test_past_means_now_and_so_does_before_the_next_look(self) -> None:
        plan = RenewalPlan(NOW, NOW + timedelta(days=1), NOW + timedelta(hours=5))
        assert not plan.is_due(NOW)
        assert plan.is_due(NOW, next_look=6 * 3600)
        assert plan.is_due(NOW + timedelta(days=9))

    @pytest.mark.parametrize(
        ("said", "seconds"), [(None, 21_600), (0, 60), (59.5, 60), (61, 61), (86_400, 86_400), (604_800, 86_400)]
    )
    def test_retry_after_is_clamped_to_a_minute_and_a_day(self, said: float | None, seconds: float) -> None:
        assert poll_interval(said) == seconds

    def test_asking_stops_after_expiry_or_replacement(self) -> None:
        later = NOW + timedelta(days=1)
        assert still_to_be_asked(not_after=later, replaced=False, now=NOW)
        assert not still_to_be_asked(not_after=NOW, replaced=False, now=NOW)
        assert not still_to_be_asked(not_after=later, replaced=True, now=NOW)


class TestFetch:
    CERTIFICATE = make_leaf(key_id=TestCertificateIdentifier.KEY_ID)
    PATH = "/renewal-info/aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"

    async def test_it_is_asked_without_a_signature(self, client: Client, ca: FakeCa) -> None:
        ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info"
        window = {"start": "2026-05-01T00:00:00Z", "end": "2026-05-03T00:00:00+02:00"}
        answer = {"suggestedWindow": window, "explanationURL": "https://ca.test/why\n"}
        ca.reply(self.PATH, ca.json(answer, headers={"Retry-After": "7200"}))
        info = await client.fetch_renewal_info(self.CERTIFICATE)
        assert ca.requests[-1].method == "GET"
        assert info == RenewalInfo(
            datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, 22, tzinfo=UTC), "https://ca.test/why", 7200
        )

    @pytest.mark.parametrize(
        "document",
        [
            {},
            {"suggestedWindow": {}},
            {"suggestedWindow": {"start": "2026-05-01T00:00:00Z"}},
            {"suggestedWindow": {"start": "2026-05-01T00:00:00Z", "end": "2026-05-01T00:00:00Z"}},
            {"suggestedWindow": {"start": "2026-05-02T00:00:00Z", "end": "2026-05-01T00:00:00Z"}},
            {"suggestedWindow": {"start": "2026-05-02T00:00:00", "end": "2026-05-03T00:00:00Z"}},
        ],
    )
    async def test_a_window_that_is_none_is_no_answer(self, client: Client, ca: FakeCa, document: object) -> None:
        ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info/"
        ca.reply(self.PATH, ca.json(document))
        with pytest.raises(MalformedResponse):
            await client.fetch_renewal_info(self.CERTIFICATE)

    async def test_a_server_without_it_is_told_apart(self, client: Client) -> None:
        with pytest.raises(NotOffered, match="renewalInfo"):
            await client.fetch_renewal_info(self.CERTIFICATE)


class TestReplacement:
    async def test_it_is_only_sent_where_renewal_information_is_offered(self, client: Client, ca: FakeCa) -> None:
        await client.new_replacement_order(NAMES, replaces="a.b")
        assert "replaces" not in ca.requests[-1].json
        ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info"
        await client.server.directory(refresh=True)
        await client.new_replacement_order(NAMES, replaces="a.b")
        assert ca.requests[-1].json["replaces"] == "a.b"

    @pytest.mark.parametrize(
        ("kind", "status"), [("alreadyReplaced", 409), ("serverInternal", 500), ("malformed", 400)]
    )
    async def test_a_refusal_costs_one_more_try_without_it(
        self, client: Client, ca: FakeCa, kind: str, status: int
    ) -> None:
        ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info"
        ca.meta["profiles"] = {"p": ""}
        ca.reply("/new-order", lambda request: ca.problem(kind, "no", request, status=status))
        refusals: list[AcmeError] = []
        await client.new_replacement_order(NAMES, replaces="a.b", profile="p", on_refusal=refusals.append)
        sent = [request.json for request in ca.requests if request.path == "/new-order"]
        assert [request.get("replaces") for request in sent] == ["a.b", None]
        assert sent[1]["profile"] == "p"
        assert len(refusals) == 1

    async def test_the_second_refusal_is_final(self, client: Client, ca: FakeCa) -> None:
        ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info"
        ca.reply("/new-order", *[lambda request: ca.problem("alreadyReplaced", "no", request, status=409)] * 3)
        with pytest.raises(AlreadyReplaced):
            await client.new_replacement_order(NAMES, replaces="a.b")
        assert ca.paths().count("/new-order") == 2

    @pytest.mark.parametrize(("kind", "error"), [("rateLimited", RateLimited), ("invalidProfile", InvalidProfile)])
    async def test_what_has_nothing_to_do_with_it_is_raised_at_once(
        self, client: Client, ca: FakeCa, kind: str, error: type[Exception]
    ) -> None:
        ca.extra["renewalInfo"] = f"{ORIGIN}/renewal-info"
        ca.reply("/new-order", lambda request: ca.problem(kind, "no", request))
        with pytest.raises(error):
            await client.new_replacement_order(NAMES, replaces="a.b")
        assert ca.paths().count("/new-order") == 1


class TestRevocation:
    async def test_the_account_revokes_by_its_url(self, client: Client, ca: FakeCa) -> None:
        assert await client.revoke_certificate(b"DER", reason=RevocationReason.SUPERSEDED)
        assert ca.requests[-1].json == {"certificate": base64url.encode(b"DER"), "reason": 4}
        assert ca.requests[-1].protected["kid"] == client.account_url

    async def test_revoked_before_is_success(self, client: Client, ca: FakeCa) -> None:
        ca.reply("/revoke", lambda request: ca.problem("alreadyRevoked", "done", request))
        assert not await client.revoke_certificate(b"DER")
        assert ca.requests[-1].json == {"certificate": base64url.encode(b"DER")}

    async def test_the_key_of_the_certificate_revokes_by_itself(self, client: Client, ca: FakeCa) -> None:
        key = ec.generate_private_key(ec.SECP384R1())
        assert await revoke_with_certificate_key(client.server, b"DER", key)
        assert ca.requests[-1].protected["jwk"]["crv"] == "P-384"
        assert ca.requests[-1].json["reason"] == 1

    async def test_a_server_without_it_is_told_apart(self, client: Client, ca: FakeCa) -> None:
        ca.extra["revokeCert"] = None  # type: ignore[assignment]  # as absent
        with pytest.raises(NotOffered):
            await client.revoke_certificate(b"DER")


def test_an_ed25519_certificate_key_can_sign() -> None:
    assert AccountKey(ed25519.Ed25519PrivateKey.generate()).algorithm == "EdDSA"


class TestChains:
    @staticmethod
    def chain(*issuers: str) -> CertificateChainPem:
        return CertificateChainPem(b"", tuple(make_leaf(issuer=issuer) for issuer in issuers), url="/".join(issuers))

    def test_the_last_issuer_decides_and_then_those_on_the_way(self) -> None:
        long, short = self.chain("E7", "Root X1", "Old Root"), self.chain("E7", "Root X1")
        assert issuer_names(long) == ("E7", "Root X1", "Old Root")
        assert leads_to(short, "Root X1")
        assert not leads_to(long, "Root X1")
        assert choose_chain([long, short], "Root X1") is short
        assert choose_chain([long, short], "Old Root") is long
        assert choose_chain([long, short], "E7") is long
        assert choose_chain([long], "Root X1") is long

    def test_an_absent_one_is_told_with_those_there_are(self) -> None:
        with pytest.raises(NoSuchChain, match="'Root X1', 'Root X2'") as caught:
            choose_chain([self.chain("E7", "Root X1"), self.chain("E7", "Root X2")], "Root X9")
        assert caught.value.wanted == "Root X9"
        assert caught.value.offered == ("Root X1", "Root X2")

    def test_what_is_no_certificate_is_told(self) -> None:
        with pytest.raises(InvalidCertificate):
            issuer_names(CertificateChainPem(b"", (b"junk",), url="https://ca.test/cert"))

    async def test_alternates_are_only_fetched_when_needed(self, client: Client, ca: FakeCa) -> None:
        def answer(issuer: str, *, links: bool) -> None:
            pem = x509.load_der_x509_certificate(make_leaf(issuer=issuer)).public_bytes(serialization.Encoding.PEM)
            link = {"Link": f'<{ORIGIN}/cert/1>;rel="alternate"'} if links else {}
            fields = {"Content-Type": "application/pem-certificate-chain", **ca.nonce(), **link}
            ca.reply("/cert" if links else "/cert/1", Response(200, Headers(fields), pem))

        answer("Root X1", links=True)
        default = await client.download_chain(f"{ORIGIN}/cert")
        assert await client.choose_chain(default, "Root X1") is default
        assert "/cert/1" not in ca.paths()
        answer("Root X2", links=False)
        assert issuer_names(await client.choose_chain(default, "Root X2")) == ("Root X2",)
