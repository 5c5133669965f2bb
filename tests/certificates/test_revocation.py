"""Revocation: on request, when a Certificate is deleted, and of nothing that others own."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certwright import acme
from certwright.certificates.revocations import PICKED_UP_AFTER, REASONS
from certwright.certificates.secret.annotations import CONTENT_DIGEST_ANNOTATION, content_digest
from certwright.certificates.secret.facts import SecretFacts
from certwright.http01 import presenter as presenter_module
from certwright.issuers.registry import IssuerRegistry
from certwright.pki import generate_private_key, private_key_to_pem
from certwright.resources import FINALIZER, RevocationReasonName, RevocationStatus
from tests.certificates.bench import CA, Bench
from tests.certificates.test_http01_orders import HttpBench, Web
from tests.fakes.acme_client import PLACE
from tests.fakes.killing import Killed, kill_after
from tests.fakes.operator import encoded

if TYPE_CHECKING:
    import datetime as dt

    from cryptography import x509

    from tests.fakes.operator import Body, Build, FakeKubeApi

HOUR = 3600.0
HELD = "certwright-pending-revocation-"


class Revoking:
    """The CA's side: what it has revoked, and how it refuses."""

    def __init__(self, bench: Bench) -> None:
        self.revoked: list[tuple[bytes, int | None]] = []
        self.refusals: list[acme.AcmeError] = []
        bench.ca.revoke_certificate = self.revoke_certificate  # type: ignore[attr-defined]

    async def revoke_certificate(self, certificate_der: bytes, *, reason: acme.RevocationReason | None = None) -> bool:
        if self.refusals:
            raise self.refusals.pop(0)
        known = any(der == certificate_der for der, _ in self.revoked)
        self.revoked.append((certificate_der, None if reason is None else int(reason)))
        return not known


@pytest.fixture
def ca(bench: Bench) -> Revoking:
    return Revoking(bench)


def problem(kind: type[acme.ProblemError], name: str, status: int = 403) -> acme.ProblemError:
    said = acme.Problem(type=f"urn:ietf:params:acme:error:{name}", detail="the CA's words")
    return kind(said, action="revokeCert", url=f"{PLACE}/revoke", status=status)


def write(bench: Bench, **spec: Any) -> None:
    generation = bench.cluster.body["metadata"]["generation"] + 1
    bench.write(metadata={"generation": generation}, **spec)


def ask(bench: Bench, reason: str | None = None, request_id: str = "r-1", **spec: Any) -> None:
    request = {"id": request_id, "action": "Revoke", **({"reason": reason} if reason else {})}
    write(bench, request=request, **spec)


def delete(bench: Bench, **spec: Any) -> None:
    metadata = {"generation": 9, "deletionTimestamp": bench.now.isoformat()}
    bench.write(metadata=metadata, **spec)


def secret(bench: Bench) -> Body:
    return bench.cluster.secrets.secrets["team", "web-tls"]


def leaf(bench: Bench) -> x509.Certificate:
    found = SecretFacts.of(secret(bench)).leaf
    assert found is not None
    return found


def der(bench: Bench) -> bytes:
    return leaf(bench).public_bytes(Encoding.DER)


def last(bench: Bench) -> RevocationStatus:
    return bench.status.revocations[-1]


def held(bench: Bench) -> list[str]:
    return [name for name in bench.secret_names if name.startswith(HELD)]


async def test_a_compromised_key_is_revoked_at_once_and_replaced_by_another(bench: Bench, ca: Revoking) -> None:
    write(bench, privateKey={"rotationPolicy": "Never"})
    await bench.run(60)
    old, old_key = der(bench), leaf(bench).public_key()
    bench.dns.hidden = True
    ask(bench, "keyCompromise", privateKey={"rotationPolicy": "Never"})
    await bench.look()
    assert ca.revoked == [(old, 1)]
    assert (bench.condition().status, bench.condition().reason) != ("True", "Ready")
    bench.dns.hidden = False
    await bench.run(HOUR)
    assert der(bench) != old
    assert leaf(bench).public_key() != old_key
    assert (last(bench).state, last(bench).reason, last(bench).held) == ("Revoked", "keyCompromise", False)
    assert bench.status.requests[-1].state == "Succeeded"
    assert not held(bench)
    assert len(bench.ca.orders) == 2


async def test_an_order_for_a_compromised_key_is_given_up(bench: Bench, ca: Revoking) -> None:
    write(bench, privateKey={"rotationPolicy": "Never"})
    await bench.run(60)
    bad = leaf(bench).public_key()
    bench.dns.hidden = True
    write(bench, dnsNames=["b.example.test"], privateKey={"rotationPolicy": "Never"})
    await bench.look()
    ask(bench, "keyCompromise", dnsNames=["b.example.test"], privateKey={"rotationPolicy": "Never"})
    bench.dns.hidden = False
    await bench.run(HOUR)
    assert len(bench.ca.orders) == 3
    assert leaf(bench).public_key() != bad
    assert len(ca.revoked) == 1


@pytest.mark.parametrize(("reason", "code"), [(None, 0), ("superseded", 4), ("cessationOfOperation", 5)])
async def test_other_certificates_are_replaced_before_they_are_revoked(
    bench: Bench, ca: Revoking, reason: str | None, code: int
) -> None:
    await bench.run(60)
    old = der(bench)
    bench.dns.hidden = True
    ask(bench, reason)
    await bench.run(60)
    assert not ca.revoked
    assert (bench.condition().status, bench.condition().reason) == ("True", "Renewing")
    bench.dns.hidden = False
    while der(bench) == old:
        result = await bench.look()
        assert result.after is not None
        bench.now += result.after
    assert not ca.revoked  # servers load the new one first
    await bench.run(PICKED_UP_AFTER.total_seconds() + 1)
    assert ca.revoked == [(old, code)]
    assert bench.status.requests[-1].state == "Succeeded"
    assert "has revoked certificate" in bench.status.requests[-1].message
    assert not held(bench)
    await bench.run(HOUR)
    assert len(bench.ca.orders) == 2


LASTING = [name for name in REASONS if name not in {"certificateHold", "removeFromCRL"}]


@pytest.mark.parametrize("solver", ["dns-01", "http-01"])
@pytest.mark.parametrize("reason", LASTING)
async def test_every_reason_that_lasts_reaches_the_ca_whatever_the_solver(  # noqa: PLR0917 - fixtures
    build: Build,
    kube_api: FakeKubeApi,
    now: dt.datetime,
    monkeypatch: pytest.MonkeyPatch,
    reason: RevocationReasonName,
    solver: str,
) -> None:
    """Those of RFC 5280 section 5.3.1, which RFC 8555 section 7.6 lets a client send."""
    monkeypatch.setattr(presenter_module, "SelfCheck", Web)
    bench = (HttpBench if solver == "http-01" else Bench)(build, kube_api, now)
    ca = Revoking(bench)
    bench.write("a.example.test")
    await bench.run(60)
    old = der(bench)
    write(bench, request={"id": "r-1", "action": "Revoke", "reason": reason})
    await bench.run(HOUR)
    assert ca.revoked == [(old, int(REASONS[reason]))]
    assert (last(bench).state, last(bench).reason) == ("Revoked", reason)
    assert bench.status.requests[-1].state == "Succeeded"
    assert der(bench) != old, "it was replaced"
    assert (bench.condition().status, len(bench.ca.orders)) == ("True", 2)
    if isinstance(bench, HttpBench):
        assert bench.kinds == [], "no solver object is left"


@pytest.mark.parametrize("reason", LASTING)
@pytest.mark.parametrize("refused", [True, False])
async def test_a_ca_that_refuses_a_reason_or_has_revoked_already_is_asked_once(
    bench: Bench, ca: Revoking, reason: RevocationReasonName, *, refused: bool
) -> None:
    await bench.run(60)
    if refused:
        ca.refusals = [problem(acme.BadRevocationReason, "badRevocationReason", 400)]
    else:
        ca.revoked.append((der(bench), 0))  # by somebody else; the client says so
    ask(bench, reason)
    await bench.run(HOUR)
    assert last(bench).state == ("Failed" if refused else "Revoked")
    assert bench.status.requests[-1].state == ("Failed" if refused else "Succeeded")
    assert ca.refusals == []
    assert len(ca.revoked) == (0 if refused else 2), "it was asked once"
    assert (f"does not take the reason {reason}" in bench.status.requests[-1].message) is refused
    assert bench.condition().status == "True"


async def test_a_certificate_that_is_revoked_already_counts_as_revoked(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    ca.revoked.append((der(bench), 1))
    ask(bench, "keyCompromise")
    await bench.run(HOUR)
    assert last(bench).state == "Revoked"
    assert "had already revoked" in last(bench).message


async def test_a_revoked_certificate_is_not_used_again(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    backup = copy.deepcopy(secret(bench))
    ask(bench, "keyCompromise")
    await bench.run(HOUR)
    bench.restart()
    restored = bench.cluster.secrets.put(backup)
    bench.take_secret(SecretFacts.of(restored))
    await bench.run(HOUR)
    assert der(bench) != SecretFacts.of(backup).leaf.public_bytes(Encoding.DER)  # type: ignore[union-attr]
    assert len(bench.ca.orders) == 3
    assert len(ca.revoked) == 1


async def test_a_certificate_of_others_is_not_revoked_without_its_key(bench: Bench, ca: Revoking, build: Build) -> None:
    await bench.run(60)
    foreign = build.ca.chain(["victim.example.test"]).pem  # as every TLS client gets it
    own = private_key_to_pem(generate_private_key())
    stolen = copy.deepcopy(secret(bench))
    stolen["data"] = {"tls.crt": encoded(foreign), "tls.key": encoded(own)}
    stolen["metadata"]["annotations"][CONTENT_DIGEST_ANNOTATION] = content_digest(foreign, own)
    bench.take_secret(SecretFacts.of(bench.cluster.secrets.put(stolen)))
    ask(bench, "keyCompromise", dnsNames=["victim.example.test"])
    await bench.run(60)
    assert not ca.revoked
    assert bench.status.requests[-1].state == "Failed"
    assert "its tls.key does not match its tls.crt" in bench.status.requests[-1].message


async def test_a_certificate_of_others_is_not_revoked_when_the_certificate_is_deleted(
    bench: Bench, ca: Revoking, build: Build
) -> None:
    write(bench, revokeOnDelete=True, dnsNames=["victim.example.test"])
    await bench.run(60)
    bench.restart()
    foreign = build.ca.chain(["victim.example.test"]).pem
    own = private_key_to_pem(generate_private_key())
    stolen = copy.deepcopy(secret(bench))
    stolen["data"] = {"tls.crt": encoded(foreign), "tls.key": encoded(own)}
    stolen["metadata"]["annotations"][CONTENT_DIGEST_ANNOTATION] = content_digest(foreign, own)
    bench.take_secret(SecretFacts.of(bench.cluster.secrets.put(stolen)))
    delete(bench, revokeOnDelete=True, dnsNames=["victim.example.test"])
    await bench.run(60)
    assert not ca.revoked
    assert "NotRevoked" in bench.events
    assert not bench.finalizers


async def test_a_status_alone_revokes_nothing(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    body = copy.deepcopy(bench.cluster.body)
    fingerprint = "ab" * 32
    body["status"]["revocations"] = [
        {
            "serialNumber": "01",
            "fingerprint": fingerprint,
            "requestID": "r-1",
            "reason": "keyCompromise",
            "state": "Pending",
            "startedTime": bench.now.isoformat(),
        }
    ]
    bench.cluster.take(body)
    bench.restart()
    bench.take_secret(SecretFacts.of(secret(bench)))
    await bench.run(60)
    assert not ca.revoked
    assert last(bench).state == "Failed"
    assert len(bench.ca.orders) == 1


async def replaced(bench: Bench) -> tuple[bytes, bytes]:
    """Ask for a revocation, and return the old certificate and the new one as soon as that is there."""
    await bench.run(60)
    old = der(bench)
    ask(bench, "superseded")
    for _ in range(100):
        if der(bench) != old:
            break
        bench.now += (await bench.look()).after or PICKED_UP_AFTER / 10
    return old, der(bench)


async def test_a_compromise_that_is_told_after_the_replacement_was_stored_revokes_both_at_once(
    bench: Bench, ca: Revoking
) -> None:
    old, new = await replaced(bench)
    assert not ca.revoked
    ask(bench, "keyCompromise", request_id="r-2")
    asked_at = bench.now
    for _ in range(20):
        bench.now += min((await bench.look()).after or PICKED_UP_AFTER, PICKED_UP_AFTER / 100)
    assert bench.now - asked_at < PICKED_UP_AFTER / 2
    assert ca.revoked == [(old, 1), (new, 1)]
    await bench.run(HOUR)
    assert der(bench) not in {old, new}
    assert [(one.reason, one.state) for one in bench.status.revocations] == [("keyCompromise", "Revoked")] * 2
    assert [(one.id, one.state) for one in bench.status.requests] == [("r-1", "Failed"), ("r-2", "Succeeded")]
    assert not held(bench)


async def test_another_revocation_does_not_leave_the_earlier_certificate_valid(bench: Bench, ca: Revoking) -> None:
    old, new = await replaced(bench)
    ask(bench, "cessationOfOperation", request_id="r-2")
    await bench.run(HOUR)
    assert ca.revoked == [(old, 4), (new, 5)]
    assert der(bench) not in {old, new}
    assert not held(bench)


async def test_another_reason_before_the_replacement_is_stored_counts(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    old = der(bench)
    bench.dns.hidden = True
    ask(bench, "superseded")
    await bench.run(60)
    assert not ca.revoked
    ask(bench, "keyCompromise", request_id="r-2")
    await bench.run(60)
    assert ca.revoked == [(old, 1)]
    assert last(bench).state == "Revoked"


async def test_a_renewal_that_takes_its_place_withdraws_a_revocation(bench: Bench, ca: Revoking) -> None:
    old, _ = await replaced(bench)
    write(bench, request={"id": "r-2", "action": "Renew"})
    await bench.run(HOUR)
    assert not ca.revoked
    assert last(bench).message.startswith("Withdrawn")
    assert der(bench) != old


async def test_a_ca_that_refuses_the_reason_ends_the_request(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    ca.refusals = [problem(acme.BadRevocationReason, "badRevocationReason", 400)]
    ask(bench, "cACompromise")
    await bench.run(HOUR)
    assert (last(bench).state, bench.status.requests[-1].state) == ("Failed", "Failed")
    assert "does not take the reason cACompromise" in bench.status.requests[-1].message
    assert "RevocationFailed" in bench.events
    assert not held(bench)


async def test_a_ca_that_is_down_is_asked_again(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    ca.refusals = [acme.ServiceUnavailable("out of service", url=PLACE, status=503) for _ in range(4)]
    ask(bench, "keyCompromise")
    await bench.run(HOUR)
    assert last(bench).state == "Revoked"
    assert len(bench.ca.orders) == 2  # the replacement did not wait for it


async def test_a_hold_is_refused_as_nothing_could_lift_it(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    ask(bench, "certificateHold")
    await bench.run(60)
    assert bench.status.requests[-1].state == "Refused"
    assert not ca.revoked
    assert len(bench.ca.orders) == 1


async def test_a_compromise_that_is_withdrawn_leaves_the_key_on_record(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    bad = SecretFacts.of(secret(bench)).key_digest
    ca.refusals = [acme.ServiceUnavailable("out of service", url=PLACE, status=503) for _ in range(9)]
    bench.dns.hidden = True
    ask(bench, "keyCompromise")
    await bench.run(20)
    write(bench)
    bench.dns.hidden = False
    await bench.run(HOUR)
    assert bench.status.requests[-1].state == "Failed"
    assert "stays on record as compromised" in bench.status.requests[-1].message
    assert bench.status.compromised_keys == (bad,)
    assert SecretFacts.of(secret(bench)).key_digest != bad
    assert ca.revoked == []


async def test_a_withdrawn_request_revokes_nothing(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    bench.dns.hidden = True
    ask(bench, "superseded")
    await bench.look()
    assert held(bench)
    write(bench)
    await bench.run(60)
    bench.dns.hidden = False
    await bench.run(HOUR)
    assert not ca.revoked
    assert last(bench).state == "Failed"
    assert not held(bench)


@pytest.mark.parametrize("reason", ["keyCompromise", "superseded"])
@pytest.mark.parametrize("writes", range(1, 16))
async def test_a_revocation_survives_a_kill_after_each_write(
    bench: Bench, ca: Revoking, reason: str, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.run(60)
    old = der(bench)
    ask(bench, reason)
    verbs = ("apply_status", "apply_secret", "delete_secret", "add_finalizer", "remove_finalizer", "take_out")
    kill_after(bench.cluster, writes, verbs, monkeypatch)
    try:
        await bench.run(HOUR)
    except Killed:
        bench.restart()
        bench.take_secret(SecretFacts.of(secret(bench)))
        await bench.run(HOUR)
    assert [one for one, _ in ca.revoked if one == old]
    assert {one for one, _ in ca.revoked} == {old}
    assert last(bench).state == "Revoked"
    assert der(bench) != old
    assert len(bench.ca.orders) <= 3
    assert not held(bench)
    assert "request" not in bench.cluster.body["spec"]


async def test_the_certificate_of_a_deleted_certificate_is_revoked_before_its_secret_goes(
    bench: Bench, ca: Revoking
) -> None:
    write(bench, revokeOnDelete=True)
    await bench.run(60)
    assert bench.finalizers == [FINALIZER]
    old = der(bench)
    delete(bench, revokeOnDelete=True)
    await bench.run(60)
    assert ca.revoked == [(old, 5)]
    assert bench.finalizers == []
    assert "Revoked" in bench.events


async def test_it_is_revoked_also_if_its_secret_went_first(bench: Bench, ca: Revoking) -> None:
    write(bench, revokeOnDelete=True)
    await bench.run(60)
    old = der(bench)
    bench.restart()
    bench.take_secret(SecretFacts.of(secret(bench)))
    await bench.look()  # and has seen the key beside it
    gone = bench.cluster.secrets.secrets.pop(("team", "web-tls"))
    bench.secrets.remove({**gone["metadata"], "resourceVersion": "9999"})
    delete(bench, revokeOnDelete=True)
    await bench.run(60)
    assert ca.revoked == [(old, 5)]
    assert bench.finalizers == []


@pytest.mark.parametrize("kept", [True, False])
async def test_a_restart_finds_the_certificate_whose_secret_went_before_it_if_it_is_kept(
    bench: Bench, ca: Revoking, *, kept: bool
) -> None:
    more = {"revisionHistoryLimit": 2} if kept else {}
    write(bench, revokeOnDelete=True, **more)
    await bench.run(60)
    old = der(bench)
    gone = bench.cluster.secrets.secrets.pop(("team", "web-tls"))
    bench.secrets.remove({**gone["metadata"], "resourceVersion": "9999"})
    delete(bench, revokeOnDelete=True, **more)
    bench.restart()
    await bench.run(60)
    assert ca.revoked == ([(old, 5)] if kept else [])
    assert bench.finalizers == []
    assert ("Its Secret was deleted before." in bench.messages.get("NotRevoked", "")) is not kept


async def test_a_certificate_whose_field_is_set_later_is_held_and_let_go_when_it_is_unset(bench: Bench) -> None:
    await bench.run(60)
    assert bench.finalizers == []
    write(bench, revokeOnDelete=True)
    await bench.run(60)
    assert bench.finalizers == [FINALIZER]
    write(bench)
    await bench.run(60)
    assert bench.finalizers == []


async def test_an_issuer_that_is_gone_holds_nothing_up(bench: Bench, ca: Revoking) -> None:
    write(bench, revokeOnDelete=True)
    await bench.run(60)
    bench.registry.set_missing(CA)
    delete(bench, revokeOnDelete=True)
    await bench.look()
    assert not ca.revoked
    assert bench.finalizers == []
    assert "Issuer team/ca does not exist any more" in bench.messages["NotRevoked"]


async def test_a_ca_that_is_down_holds_a_deleted_certificate_for_ten_minutes_at_most(
    bench: Bench, ca: Revoking
) -> None:
    write(bench, revokeOnDelete=True)
    await bench.run(60)
    ca.refusals = [acme.ServiceUnavailable("out of service", url=PLACE, status=503) for _ in range(100)]
    delete(bench, revokeOnDelete=True)
    await bench.run(9 * 60)
    assert bench.finalizers == [FINALIZER]
    await bench.run(61)
    assert bench.finalizers == []
    assert "within ten minutes" in bench.messages["NotRevoked"]


async def test_a_kill_during_the_deletion_revokes_again(bench: Bench, ca: Revoking) -> None:
    write(bench, revokeOnDelete=True)
    await bench.run(60)
    old = der(bench)
    delete(bench, revokeOnDelete=True)
    bench.cluster.failing.add("remove_finalizer")
    await bench.look()
    bench.restart()
    bench.take_secret(SecretFacts.of(secret(bench)))
    bench.cluster.failing.clear()
    await bench.run(60)
    assert {one for one, _ in ca.revoked} == {old}
    assert bench.finalizers == []


async def test_a_compromised_key_revokes_its_own_certificate_where_the_account_may_not(
    bench: Bench, ca: Revoking, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.run(60)
    old = der(bench)
    by_key: list[bytes] = []

    async def with_key(_server: Any, certificate: bytes, _key: Any) -> bool:
        by_key.append(certificate)
        return True

    monkeypatch.setattr("certwright.certificates.steps.revoke.revoke_with_certificate_key", with_key)
    ca.refusals = [problem(acme.Unauthorized, "unauthorized")]
    ask(bench, "keyCompromise")
    await bench.run(HOUR)
    assert by_key == [old]
    assert last(bench).state == "Revoked"


@pytest.mark.parametrize(
    ("reason", "ready"), [("keyCompromise", False), ("superseded", False), ("keyCompromise", True)]
)
async def test_a_compromised_key_revokes_its_own_certificate_while_the_issuer_has_no_account(
    bench: Bench, ca: Revoking, monkeypatch: pytest.MonkeyPatch, reason: str, *, ready: bool
) -> None:
    await bench.run(60)
    old = der(bench)
    by_key: list[bytes] = []
    server = SimpleNamespace(directory_url=f"{PLACE}/directory")
    asked_of: list[Any] = []

    async def with_key(used: Any, certificate: bytes, _key: Any) -> bool:
        assert used is server
        by_key.append(certificate)
        return True

    async def server_of(key: Any) -> Any:
        asked_of.append(key)
        return server

    monkeypatch.setattr("certwright.certificates.steps.revoke.revoke_with_certificate_key", with_key)
    bench.server_of = server_of
    bench.restart()
    if not ready:
        bench.registry.set_not_ready(CA, "The CA has closed the account.")
    ask(bench, reason)
    await bench.run(HOUR)
    if ready or reason != "keyCompromise":
        assert (by_key, asked_of) == ([], [])
        assert len(ca.revoked) == (1 if ready else 0)
        return
    assert by_key == [old]
    assert asked_of == [CA]
    assert last(bench).state == "Revoked"
    assert f"{PLACE}/directory has revoked" in last(bench).message
    assert ca.revoked == []


async def test_an_issuer_that_is_not_known_yet_revokes_with_its_account_once_it_is(bench: Bench, ca: Revoking) -> None:
    await bench.run(60)
    bench.registry = IssuerRegistry(lambda: bench.now)
    bench.restart()
    ask(bench, "keyCompromise")
    await bench.run(30)
    assert last(bench).state == "Pending"
    bench.ready()
    bench.restart()
    await bench.run(HOUR)
    assert (last(bench).state, len(ca.revoked)) == ("Revoked", 1)


def test_every_reason_that_can_be_written_is_the_one_of_rfc_5280() -> None:
    assert set(REASONS) == set(get_args(RevocationReasonName))
    assert list(REASONS.values()) == list(acme.RevocationReason)
    for name, reason in REASONS.items():
        assert name.lower() == reason.name.replace("_", "").lower()
