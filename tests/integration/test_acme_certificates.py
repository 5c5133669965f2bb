"""Issued certificates at Pebble: their chains, when to renew them, what replaces them, taking them back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from certwright.acme import (
    AccountKey,
    AlreadyReplaced,
    BadRevocationReason,
    Identifier,
    MalformedResponse,
    NoSuchChain,
    ProblemError,
    RenewalPlan,
    RevocationReason,
    Unauthorized,
    base64url,
    certificate_identifier,
    issuer_names,
)
from certwright.client import (
    Dns01,
    Event,
    KeySpec,
    PreferredChainMissing,
    RenewalInfoUnavailable,
    ReplacementRefused,
    issue,
    leaf_der,
    renew,
    revoke,
    sync,
)
from harness.acme import connected, provider_of, registered, view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from certwright.acme import AcmeError, Client
    from certwright.client import IssuedCertificate
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble


@pytest.fixture
def solver(bind: Bind) -> Dns01:
    return Dns01(provider_of(bind), view_of(bind))


def certificates(issued: IssuedCertificate) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(issued.chain_pem)


async def with_plain_serial(client: Client, name: str, solver: Dns01) -> IssuedCertificate:
    """A certificate whose serial number Pebble copes with: one in 270 has a leading zero octet, and it fails then."""
    for _ in range(5):
        issued = await issue(client, [name], solvers=[solver], profile="default")
        if certificates(issued)[0].serial_number.bit_length() % 8:
            return issued
    raise AssertionError("five serial numbers in a row with a leading zero octet")


async def test_a_long_chain_arrives_whole(make_pebble: Callable[..., Pebble], name: str, solver: Dns01) -> None:
    async with registered(make_pebble(chain_length=3)) as client:
        issued = await issue(client, [name], solvers=[solver], profile="default")
    assert len(certificates(issued)) == 4


async def test_a_chain_is_chosen_by_its_root(make_pebble: Callable[..., Pebble], name: str, solver: Dns01) -> None:
    pebble = make_pebble(alternate_roots=2, chain_length=2)
    roots = [x509.load_pem_x509_certificate(pebble.root_pem(number)) for number in range(3)]
    wanted = str(roots[2].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    async with registered(pebble) as client:
        issued = await issue(client, [name], solvers=[solver], profile="default", preferred_chain=wanted)
        certificates(issued)[-1].verify_directly_issued_by(roots[2])
        with pytest.raises(PreferredChainMissing) as caught:
            await issue(client, [name], solvers=[solver], profile="default", preferred_chain="No Such Root X1")
        chain = await client.download_chain(issued.certificate_url)
        names = {issuer_names(alternate)[-1] for alternate in (chain, *await client.download_alternates(chain))}
    assert isinstance(caught.value, NoSuchChain)
    assert set(caught.value.offered) == names
    # The certificate is not lost: here it is, with its key.
    assert [str(identifier) for identifier in caught.value.certificate.identifiers] == [name]
    assert caught.value.certificate.private_key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert len(names) == 3


async def test_the_account_revokes_its_certificate(pebble: Pebble, name: str, solver: Dns01) -> None:
    async with registered(pebble) as client, registered(pebble) as stranger:
        issued = await issue(client, [name], solvers=[solver], profile="default")
        with pytest.raises(Unauthorized):
            await revoke(stranger, issued.chain_pem)
        with pytest.raises(BadRevocationReason):
            await client.server.post(
                "revokeCert",
                (await client.server.directory()).revoke_cert or "",
                {"certificate": base64url.encode(leaf_der(issued.chain_pem)), "reason": 7},
                key=client.key,
                kid=client.account_url,
                repeatable=True,
            )
        assert await revoke(client, issued.chain_pem, reason=RevocationReason.SUPERSEDED)
        assert not await revoke(client, issued.chain_pem)
    assert pebble.certificate_status(certificates(issued)[0].serial_number)["Status"] == "Revoked"


LASTING = [one for one in RevocationReason if one.name not in {"CERTIFICATE_HOLD", "REMOVE_FROM_CRL"}]


@pytest.mark.parametrize("by_key", [False, True], ids=["account", "key"])
async def test_every_reason_of_rfc_5280_that_lasts_is_taken(
    pebble: Pebble, name: str, solver: Dns01, *, by_key: bool
) -> None:
    """By the account, and by the certificate's own key if the account is lost."""
    async with registered(pebble) as client, connected(pebble) as nobody:
        for reason in LASTING:
            issued = await issue(client, [name], solvers=[solver], profile="default")
            if by_key:
                assert await revoke(nobody, issued.chain_pem, key=issued.private_key_pem, reason=reason)
            else:
                assert await revoke(client, issued.chain_pem, reason=reason)
            known = pebble.certificate_status(certificates(issued)[0].serial_number)
            assert (known["Status"], known["Reason"]) == ("Revoked", int(reason)), reason


@pytest.mark.parametrize("key", [KeySpec(), KeySpec("ECDSA", 384), KeySpec("RSA")], ids=str)
async def test_the_key_of_a_certificate_revokes_it_without_an_account(
    pebble: Pebble, name: str, solver: Dns01, key: KeySpec
) -> None:
    async with registered(pebble) as client:
        issued = await issue(client, [name], solvers=[solver], profile="default", key=key)
    async with connected(pebble) as nobody:
        with pytest.raises(Unauthorized):
            await revoke(nobody, issued.chain_pem, key=AccountKey.generate().to_pem())
        assert await revoke(
            nobody, issued.chain_pem, key=issued.private_key_pem, reason=RevocationReason.KEY_COMPROMISE
        )
        assert not await revoke(nobody, issued.chain_pem, key=issued.private_key_pem)
    assert pebble.certificate_status(certificates(issued)[0].serial_number)["Status"] == "Revoked"


async def test_the_window_of_a_renewal_is_followed(pebble: Pebble, name: str, solver: Dns01) -> None:
    async with registered(pebble) as client:
        issued = await with_plain_serial(client, name, solver)
        assert issued.renewal_info is not None
        assert issued.not_before < issued.renewal_info.start < issued.renewal_info.end < issued.not_after
        plan = RenewalPlan.follow(issued.renewal_info)
        assert not plan.is_due(datetime.now(UTC))
        certificate = leaf_der(issued.chain_pem)
        past = datetime.now(UTC) - timedelta(days=2)
        window = {"start": past.isoformat(), "end": (past + timedelta(days=1)).isoformat()}
        answer = {"suggestedWindow": window, "explanationURL": "https://ca.example/incident"}
        pebble.set_renewal_info(issued.chain_pem.decode(), json.dumps(answer))
        moved = await client.fetch_renewal_info(certificate)
        assert moved.explanation_url == "https://ca.example/incident"
        assert moved.retry_after == 6 * 3600
        assert RenewalPlan.follow(moved, plan).is_due(datetime.now(UTC))
        assert RenewalPlan.follow(moved, again := RenewalPlan.follow(moved)) == again


@pytest.mark.parametrize(
    "answer",
    [
        "not JSON at all",
        "{}",
        '{"suggestedWindow": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}}',
        '{"suggestedWindow": {"start": "2026-01-02T00:00:00Z", "end": "2026-01-02T00:00:00Z"}}',
        '{"suggestedWindow": {"start": "yesterday", "end": "2026-01-01T00:00:00Z"}}',
        "<html>",
    ],
)
async def test_renewal_information_that_is_none_is_no_answer(
    pebble: Pebble, name: str, solver: Dns01, answer: str
) -> None:
    async with registered(pebble) as client:
        issued = await with_plain_serial(client, name, solver)
        pebble.set_renewal_info(issued.chain_pem.decode(), answer)
        with pytest.raises(MalformedResponse):
            await client.fetch_renewal_info(leaf_der(issued.chain_pem))


async def test_a_renewal_replaces_and_a_second_one_copes_with_that(pebble: Pebble, name: str, solver: Dns01) -> None:
    refusals: list[AcmeError] = []

    def watch(event: Event) -> None:
        if isinstance(event, ReplacementRefused):
            refusals.append(event.error)

    async with registered(pebble) as client:
        first = await with_plain_serial(client, name, solver)
        second = await renew(client, first.chain_pem, solvers=[solver], profile="default", on_event=watch)
        assert second.replaced
        assert not refusals
        replaces = certificate_identifier(leaf_der(first.chain_pem))
        with pytest.raises(AlreadyReplaced):
            await client.new_order([Identifier.dns(name)], profile="default", replaces=replaces)
        third = await renew(client, first.chain_pem, solvers=[solver], profile="default", on_event=watch)
    assert not third.replaced
    assert [type(error) for error in refusals] == [AlreadyReplaced]


async def test_a_certificate_of_another_ca_is_renewed_here_all_the_same(
    make_pebble: Callable[..., Pebble], name: str, solver: Dns01
) -> None:
    events: list[Event] = []
    async with registered(make_pebble()) as client:
        foreign = await issue(client, [name, f"*.{name}"], solvers=[solver], profile="default")
    async with registered(make_pebble()) as client:
        with pytest.raises(ProblemError):
            await client.fetch_renewal_info(leaf_der(foreign.chain_pem))
        own = await renew(client, foreign.chain_pem, solvers=[solver], profile="default", on_event=events.append)
    assert set(own.identifiers) == set(foreign.identifiers)
    assert [type(event) for event in events].count(ReplacementRefused) == 1
    assert not [event for event in events if isinstance(event, RenewalInfoUnavailable)]


def test_scripts_do_it_without_asyncio(pebble: Pebble, bind: Bind, name: str) -> None:
    events: list[Event] = []
    with sync.connect(pebble.directory_url, ca_bundle=pebble.ca_bundle_pem.decode(), trust_env=False) as client:
        client.register(terms_of_service_agreed=True)
        solver = Dns01(provider_of(bind), view_of(bind))
        issued = client.issue([name], solvers=[solver], profile="default", on_event=events.append)
        renewed = client.renew(issued.chain_pem, solvers=[solver], profile="default")
        assert client.fetch_renewal_info(renewed.chain_pem).start < renewed.not_after
        assert client.revoke(renewed.chain_pem)
        saved = client.credentials.to_json()
    assert events
    assert (client.credentials.account_url or "none") in saved
