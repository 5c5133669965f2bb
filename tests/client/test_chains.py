"""Chains that are right but for their form, and certificates of a CA whose clock is ahead: none of them is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from certwright.acme import Client, Headers, Identifier, Response, ResponseTooLarge, TimedOut
from certwright.client import (
    CertificateStartsLater,
    Event,
    KeySpec,
    PreferredChainMissing,
    StartAwaited,
    UnusableCertificate,
    issue,
)
from certwright.pki import CertificateContents, build_csr, parse_chain, public_key_matches, read_csr
from tests.fakes.acme import ORIGIN
from tests.fakes.issuing import HOST, IssuingCa
from tests.fakes.pki import NOW, Ca, make_ca
from tests.fakes.solvers import Recorder
from tests.fakes.time import FakeTime


@pytest.fixture
def ca() -> IssuingCa:
    return IssuingCa()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime(start=NOW)


async def test_a_chain_in_disorder_is_put_in_order(client: Client, ca: IssuingCa) -> None:
    def disorder(leaf: x509.Certificate) -> list[bytes]:
        stranger = make_ca("Stranger")
        between = b"\r\n subject=/CN=secret-text\r\n"
        certificates = (stranger.certificate, ca.root.certificate, ca.issuing.certificate, leaf, leaf)
        return [b"\xef\xbb\xbf" + between.join(Ca.pem(one).rstrip() for one in certificates) + b"\0\0"]

    ca.sent = disorder
    ca.expect()
    issued = await issue(client, [HOST], solvers=[Recorder()])
    chain = parse_chain(issued.chain_pem)
    assert chain.issuers == (ca.issuing.certificate, ca.root.certificate)
    assert chain.pem == issued.chain_pem
    assert b"secret-text" not in issued.chain_pem


async def test_a_preferred_chain_is_found_in_disorder_and_beside_broken_alternates(
    client: Client, ca: IssuingCa
) -> None:
    ca.sent = lambda leaf: [
        Ca.pem(ca.issuing.certificate, leaf, make_ca("Other Root").certificate),
        b"",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        Ca.pem(make_ca("Other Root").certificate, ca.crossed.certificate, leaf),
    ]
    ca.expect()
    issued = await issue(client, [HOST], solvers=[Recorder()], preferred_chain="Other Root")
    assert parse_chain(issued.chain_pem).issuers == (ca.crossed.certificate,)
    assert issued.certificate_url == f"{ORIGIN}/alternate/2"


@pytest.mark.parametrize(
    "answer",
    [
        Response(503, Headers({"Retry-After": "3600"})),
        Response(302, Headers({"Location": "https://elsewhere.test/"})),
        TimedOut("late", host="ca.test"),
        ResponseTooLarge("long", host="ca.test"),
    ],
)
async def test_an_alternate_that_cannot_be_had_hides_no_other(
    client: Client, ca: IssuingCa, answer: Response | Exception
) -> None:
    ca.reply("/alternate/0", answer)
    ca.sent = lambda leaf: [
        Ca.pem(leaf, ca.issuing.certificate),
        Ca.pem(leaf, ca.issuing.certificate),
        Ca.pem(leaf, ca.crossed.certificate),
    ]
    ca.expect()
    issued = await issue(client, [HOST], solvers=[Recorder()], preferred_chain="Other Root")
    assert parse_chain(issued.chain_pem).issuers == (ca.crossed.certificate,)


async def test_a_preferred_chain_for_another_key_leaves_the_default_one(client: Client, ca: IssuingCa) -> None:
    other = ca.crossed.issue(KeySpec().make())
    ca.sent = lambda leaf: [Ca.pem(leaf, ca.issuing.certificate), Ca.pem(other, ca.crossed.certificate)]
    ca.expect()
    with pytest.raises(PreferredChainMissing) as caught:
        await issue(client, [HOST], solvers=[Recorder()], preferred_chain="Other Root")
    assert parse_chain(caught.value.certificate.chain_pem).issuers == (ca.issuing.certificate,)


async def test_a_certificate_that_starts_in_some_minutes_is_waited_for(
    client: Client, ca: IssuingCa, time: FakeTime
) -> None:
    ca.starts_in = timedelta(minutes=12)
    ca.expect()
    events: list[Event] = []
    issued = await issue(client, [HOST], solvers=[Recorder()], on_event=events.append)
    assert sum(time.slept) == pytest.approx(7 * 60, abs=10)
    assert issued.not_before == NOW + timedelta(minutes=12)
    awaited = next(event for event in events if isinstance(event, StartAwaited))
    assert "the CA's clock is ahead" in str(awaited)


async def test_what_starts_after_the_time_given_is_resumed_and_not_ordered_again(
    client: Client, ca: IssuingCa, time: FakeTime
) -> None:
    ca.starts_in, key = timedelta(minutes=30), KeySpec().make()
    ca.expect()
    with pytest.raises(CertificateStartsLater, match="valid only from 2026-06-01T12:30:00Z") as caught:
        await issue(client, [HOST], solvers=[Recorder()], key=key)
    assert caught.value.temporary
    await time.sleep((caught.value.usable_from - time.now).total_seconds())
    issued = await issue(client, [HOST], solvers=[Recorder()], key=key, resume=caught.value.order_url)
    assert public_key_matches(parse_chain(issued.chain_pem).leaf, key)
    assert ca.paths().count("/new-order") == 1


async def test_what_starts_much_later_is_not_what_was_ordered(client: Client, ca: IssuingCa) -> None:
    ca.starts_in = timedelta(days=1)
    ca.expect()
    with pytest.raises(UnusableCertificate, match="valid only from"):
        await issue(client, [HOST], solvers=[Recorder()])


CLIENTS_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


@pytest.mark.parametrize(
    ("names", "extensions", "said"),
    [
        ([HOST, "evil.example"], (), "evil.example"),
        ([HOST], (x509.BasicConstraints(ca=True, path_length=None),), "CA"),
        ([HOST], (CLIENTS_ONLY,), "server"),
    ],
    ids=["names beyond the order", "a CA's", "for clients only"],
)
async def test_a_certificate_that_is_more_or_less_than_ordered_is_not_handed_out(
    client: Client, ca: IssuingCa, names: list[str], extensions: list[x509.ExtensionType], said: str
) -> None:
    ca.names, ca.extensions = names, extensions
    ca.expect()
    with pytest.raises(UnusableCertificate, match=said):
        await issue(client, [HOST], solvers=[Recorder()])


@pytest.mark.parametrize("asks", ["contents", "key"])
async def test_a_certificate_for_clients_is_what_was_ordered_where_that_was_asked_for_or_somebody_else_asked(
    client: Client, ca: IssuingCa, asks: str
) -> None:
    ca.extensions = (CLIENTS_ONLY,)
    ca.expect()
    csr = read_csr(build_csr(KeySpec().make(), dns_names=[HOST]))
    wanted: Any = {"contents": CertificateContents(usages=("client auth",)), "key": csr}[asks]
    issued = await issue(client, [HOST], solvers=[Recorder()], **{asks: wanted})
    assert issued.identifiers == (Identifier.dns(HOST),)
