"""Certificates in one call, by every kind of challenge, from Pebble at its strictest."""

from __future__ import annotations

import asyncio
import os
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from certwright.acme import Identifier, OrderFailed
from certwright.client import (
    AuthorizationReused,
    CleanedUp,
    Dns01,
    DnsAccount01,
    DnsPersist01,
    Event,
    Http01Server,
    IssuanceTimedOut,
    Issued,
    KeyReused,
    KeySpec,
    Manual,
    NoSolver,
    OrderPlaced,
    OrderReady,
    Presented,
    Presenting,
    SolverFailed,
    TlsAlpn01Server,
    Validating,
    Webroot,
    discover,
    issue,
    renew,
)
from certwright.dns import TxtRecord
from harness.acme import provider_of, registered, view_of
from harness.dns_front import DnsFront
from testbed.options import Profile
from testbed.ports import LOOPBACK, allocator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from certwright.acme import Client
    from certwright.client import Instruction, IssuedCertificate, Solver
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble


def leaf(certificate: IssuedCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.chain_pem)


def names_in(certificate: IssuedCertificate) -> set[str]:
    names = leaf(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


async def acquire_and_renew(client: Client, names: Sequence[str], solver: Solver) -> IssuedCertificate:
    """What every challenge has to do: a certificate, and its renewal with the same key and with another."""
    first = await issue(client, names, solvers=[solver], profile="default")
    assert names_in(first) == set(names)
    same = await renew(client, first.chain_pem, solvers=[solver], key=first.private_key_pem, profile="default")
    other = await renew(client, same.chain_pem, solvers=[solver], profile="default")
    assert names_in(same) == names_in(other) == set(names)
    assert leaf(first).public_key() == leaf(same).public_key() != leaf(other).public_key()
    assert len({leaf(certificate).serial_number for certificate in (first, same, other)}) == 3
    return other


async def test_dns01_with_a_wildcard_and_a_multi_name_order(pebble: Pebble, bind: Bind, name: str) -> None:
    names = [name, f"*.{name}", f"www.{name}"]
    async with registered(pebble) as client:
        await acquire_and_renew(client, names, Dns01(provider_of(bind), view_of(bind)))
    assert not [record for record in bind.txt_records(bind.zones[0]) if record.endswith(name)]


async def test_dns01_follows_a_delegation_by_cname(make_pebble: Callable[..., Pebble], bind: Bind, name: str) -> None:
    place = f"{secrets.token_hex(4)}.delegated.test"
    bind.change(bind.zones[0], "add", f"_acme-challenge.{name}.", 1, "CNAME", f"{place}.")
    # Pebble chases no CNAMEs, so it asks a server that does, as a CA's resolver would.
    with DnsFront(bind, follow_cnames=True) as resolver:
        async with registered(make_pebble(dns_server=resolver.address)) as client:
            solver = Dns01(provider_of(bind), view_of(bind))
            certificate = await issue(client, [name], solvers=[solver], profile="default")
    assert names_in(certificate) == {name}
    assert place not in bind.txt_records("delegated.test")


async def test_dns_account01_uses_a_name_of_its_own(pebble: Pebble, bind: Bind, name: str) -> None:
    presented: list[str] = []

    def watch(event: Event) -> None:
        if isinstance(event, Presented):
            presented.extend(proof.txt_name for proof in event.proofs)

    async with registered(pebble) as client:
        solver = DnsAccount01(provider_of(bind), view_of(bind))
        await acquire_and_renew(client, [name, f"*.{name}"], solver)
        await issue(client, [f"x.{name}"], solvers=[solver], profile="default", on_event=watch)
    assert presented
    assert presented[0].startswith("_")
    assert presented[0].endswith(f"._acme-challenge.x.{name}")


async def test_dns_persist01_makes_its_record_once(pebble: Pebble, bind: Bind, name: str) -> None:
    async with registered(pebble) as client:
        solver = DnsPersist01(provider_of(bind), view_of(bind))
        await acquire_and_renew(client, [name, f"*.{name}"], solver)
        values = bind.txt_records(bind.zones[0])[f"_validation-persist.{name}"]
        assert values == [f"pebble.test; accounturi={client.account_url}; policy=wildcard"]
        # A record that somebody else made is as good, and nothing is added.
        await issue(client, [name], solvers=[DnsPersist01(None, view_of(bind))], profile="default")
    await provider_of(bind).clean_up([TxtRecord(f"_validation-persist.{name}", values[0])])


async def test_dns_persist01_without_a_provider_says_which_record_to_make(
    make_pebble: Callable[..., Pebble], bind: Bind, name: str
) -> None:
    async with registered(make_pebble(authz_reuse_percent=0)) as client:
        with pytest.raises(SolverFailed) as caught:
            await issue(client, [name], solvers=[DnsPersist01(None, view_of(bind))], profile="default")
        wanted = f'_validation-persist.{name} TXT "pebble.test; accounturi={client.account_url}"'
        assert wanted in str(caught.value)


async def test_http01_by_the_standalone_server(make_pebble: Callable[..., Pebble], name: str) -> None:
    port = allocator.take()
    pebble = make_pebble(http_port=port, nonce_reject_percent=30)
    server = Http01Server(host=LOOPBACK, port=port)
    async with registered(pebble) as client:
        await acquire_and_renew(client, [name, f"www.{name}"], server)
    with pytest.raises(OSError, match=r"[Rr]efused|failed"):
        await asyncio.open_connection(LOOPBACK, port)


async def test_tls_alpn01_by_the_standalone_server(make_pebble: Callable[..., Pebble], name: str) -> None:
    port = allocator.take()
    pebble = make_pebble(tls_port=port, nonce_reject_percent=30)
    async with registered(pebble) as client:
        await acquire_and_renew(client, [name, f"www.{name}"], TlsAlpn01Server(host=LOOPBACK, port=port))


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
async def test_an_ip_address_is_certified(make_pebble: Callable[..., Pebble], challenge: str) -> None:
    port = allocator.take()
    pebble = make_pebble(http_port=port, tls_port=port)
    server = Http01Server if challenge == "http-01" else TlsAlpn01Server
    async with registered(pebble) as client:
        await acquire_and_renew(client, [LOOPBACK], server(host=LOOPBACK, port=port))


async def test_http01_by_the_folder_of_a_web_server(
    make_pebble: Callable[..., Pebble], name: str, tmp_path: Path
) -> None:
    port = allocator.take()
    pebble = make_pebble(http_port=port, authz_reuse_percent=0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readline()).split()[1].decode().removeprefix("/")
        body = (tmp_path / target).read_bytes()
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, LOOPBACK, port), registered(pebble) as client:
        await acquire_and_renew(client, [name], Webroot(tmp_path))
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - quick, and asynchronous tests may not block


async def test_by_hand_with_exact_instructions(make_pebble: Callable[..., Pebble], bind: Bind, name: str) -> None:
    told: list[Instruction] = []

    async def person(instructions: Sequence[Instruction]) -> None:
        told.extend(instructions)
        await provider_of(bind).present([TxtRecord(step.place, step.content) for step in instructions])

    async def tidy(instructions: Sequence[Instruction]) -> None:
        await provider_of(bind).clean_up([TxtRecord(step.place, step.content) for step in instructions])

    async with registered(make_pebble(authz_reuse_percent=0)) as client:
        certificate = await issue(client, [name], solvers=[Manual("dns-01", person, tidy=tidy)], profile="default")
    assert names_in(certificate) == {name}
    assert [step.place for step in told] == [f"_acme-challenge.{name}"]
    assert f'TXT "{told[0].content}"' in str(told[0])


async def test_events_tell_the_whole_story_and_reused_names_are_not_presented(
    make_pebble: Callable[..., Pebble], bind: Bind, name: str
) -> None:
    pebble = make_pebble(authz_reuse_percent=100, nonce_reject_percent=0)
    events: list[Event] = []
    async with registered(pebble) as client:
        solver = Dns01(provider_of(bind), view_of(bind))
        certificate = await issue(client, [name], solvers=[solver], profile="default", on_event=events.append)
        kinds = [type(event) for event in events]
        assert kinds == [OrderPlaced, Presenting, Presented, Validating, CleanedUp, OrderReady, Issued]
        assert all(name in str(event) for event in events[:5])
        events.clear()
        await renew(client, certificate.chain_pem, solvers=[], profile="default", on_event=events.append)
        assert [type(event) for event in events] == [OrderPlaced, AuthorizationReused, OrderReady, Issued]


async def test_solvers_are_chosen_by_name(make_pebble: Callable[..., Pebble], bind: Bind, name: str) -> None:
    port = allocator.take()
    pebble = make_pebble(http_port=port, authz_reuse_percent=0)
    http, dns = Http01Server(host=LOOPBACK, port=port), Dns01(provider_of(bind), view_of(bind))
    used: dict[str, str] = {}

    def watch(event: Event) -> None:
        if isinstance(event, Presenting):
            used.update({proof.name: proof.challenge.type for proof in event.proofs})

    async with registered(pebble) as client:
        await issue(
            client,
            [f"www-{name}", f"*.{name}"],
            solvers=lambda identifier: [http] if identifier.value.startswith("www-") else [dns],
            profile="default",
            on_event=watch,
        )
    assert used == {f"www-{name}": "http-01", f"*.{name}": "dns-01"}


async def test_a_missing_solver_is_told_with_what_is_offered(make_pebble: Callable[..., Pebble], name: str) -> None:
    async with registered(make_pebble(authz_reuse_percent=0)) as client:
        with pytest.raises(NoSolver) as caught:
            await issue(client, [f"*.{name}"], solvers=[Http01Server(port=0)], profile="default")
    assert set(caught.value.offered[f"*.{name}"]) == {"dns-01", "dns-account-01", "dns-persist-01"}
    assert caught.value.available == ("http-01",)


async def test_a_wrong_answer_fails_by_name_and_is_cleaned_up(make_pebble: Callable[..., Pebble], name: str) -> None:
    tidied: list[Instruction] = []

    async def nothing(_instructions: Sequence[Instruction]) -> None:
        return

    async def tidy(instructions: Sequence[Instruction]) -> None:
        tidied.extend(instructions)

    async with registered(make_pebble(authz_reuse_percent=0)) as client:
        with pytest.raises(OrderFailed) as caught:
            await issue(client, [name], solvers=[Manual("dns-01", nothing, tidy=tidy)], profile="default")
    assert list(caught.value.by_identifier) == [name]
    assert [step.name for step in tidied] == [name]


@pytest.mark.parametrize("end", ["cancelled", "timed out"])
async def test_an_issuance_that_is_ended_cleans_up(
    make_pebble: Callable[..., Pebble], bind: Bind, name: str, end: str
) -> None:
    provider = provider_of(bind)
    in_place = asyncio.Event()

    class Stuck(Dns01):
        async def wait(self, proofs: object) -> None:  # noqa: ARG002 - it waits for nothing
            in_place.set()
            await asyncio.sleep(3600)

    def records() -> list[str]:
        return bind.txt_records(bind.zones[0]).get(f"_acme-challenge.{name}", [])

    async with registered(make_pebble(authz_reuse_percent=0)) as client:
        work = asyncio.create_task(
            issue(client, [name], solvers=[Stuck(provider)], profile="default", timeout=5 if end == "timed out" else 60)
        )
        await in_place.wait()
        assert len(records()) == 1
        if end == "cancelled":
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
        else:
            with pytest.raises(IssuanceTimedOut) as caught:
                await work
            assert caught.value.order_url is not None
    assert records() == []


@pytest.mark.parametrize("key", [KeySpec(), KeySpec("ECDSA", 384), KeySpec("RSA", 2048), KeySpec("RSA", 3072)], ids=str)
async def test_every_kind_of_certificate_key(pebble: Pebble, bind: Bind, name: str, key: KeySpec) -> None:
    async with registered(pebble) as client:
        solver = Dns01(provider_of(bind), view_of(bind))
        certificate = await issue(client, [name], solvers=[solver], key=key, profile="default")
    public = leaf(certificate).public_key()
    assert getattr(public, "key_size", None) == (key.size or 256)


async def test_profiles_and_validity_are_asked_for(make_pebble: Callable[..., Pebble], bind: Bind, name: str) -> None:
    pebble = make_pebble(profiles={"long": Profile(validity_seconds=864_000), "short": Profile(validity_seconds=7200)})
    now = datetime.now(UTC)
    async with registered(pebble) as client:
        solver = Dns01(provider_of(bind), view_of(bind))
        short = await issue(client, [name], solvers=[solver], profile="short")
        asked = await issue(
            client, [name], solvers=[solver], profile="long", not_before=now, not_after=now + timedelta(days=3)
        )
    assert short.not_after - short.not_before <= timedelta(hours=2, seconds=1)
    assert abs(asked.not_after - now - timedelta(days=3)) < timedelta(minutes=1)


async def test_discovery_says_what_is_offered_and_presents_nothing(pebble: Pebble, bind: Bind, name: str) -> None:
    async with registered(pebble) as client:
        plain, wildcard, address = await discover(client, [name, f"*.{name}", "192.0.2.1"], profile="default")
    assert set(plain.challenge_types) >= {"http-01", "tls-alpn-01", "dns-01", "dns-account-01", "dns-persist-01"}
    assert set(wildcard.challenge_types) == {"dns-01", "dns-account-01", "dns-persist-01"}
    assert set(address.challenge_types) == {"http-01", "tls-alpn-01"}
    assert plain.order_url == wildcard.order_url
    assert not [record for record in bind.txt_records(bind.zones[0]) if record.endswith(name)]
    assert Identifier.parse(name).type == "dns"


async def test_the_account_key_is_no_certificate_key(make_pebble: Callable[..., Pebble], bind: Bind, name: str) -> None:
    """RFC 8555 section 11.1."""
    async with registered(make_pebble(authz_reuse_percent=0)) as client:
        solver = Dns01(provider_of(bind), view_of(bind))
        with pytest.raises(KeyReused):
            await issue(client, [name], solvers=[solver], key=client.key.to_pem(), profile="default")
    assert not [record for record in bind.txt_records(bind.zones[0]) if record.endswith(name)]
