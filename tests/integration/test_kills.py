"""The operator killed (SIGKILL) after each write of what it does: at the API server, at the CA, in the DNS.

A clean run counts the writes of each act; then each act is done once for each of its writes, in a namespace of its
own, all at the same time. Every namespace stands still after its write (`harness.writes`), one kill ends them
all, and one new process has to bring them all to the right end. Killing *before* a write leaves the same world behind
as killing after the one before, so that is not tried as well.

Renewal information is off: the CA is asked for it at its own times, and what is written then has no place in the order.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from certwright.acme import AccountDoesNotExist, AccountKey, ProblemError
from certwright.cert_manager.api import CONTROLLER_LEASE, LEASE_NAMESPACE
from harness import Cluster, OperatorProcess, certificate, issuer, tsig_secret
from harness.acme import connected
from harness.cert_manager import CERTIFICATE, ISSUER, their_certificate, their_issuer
from harness.cluster import SECONDS, conditions
from harness.dns_front import DnsFront
from harness.pod_answers import PodAnswers, pod_answers
from harness.solver_objects import solver_objects
from harness.writes import Write, Writes
from testbed.definitions import CERT_MANAGER
from testbed.options import PebbleOptions, Profile
from testbed.proxy import RecordingProxy
from tests.mirror.judges import renewed_by_cmctl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble

NEW_ORDER: Final = "POST /order-plz"
FINALIZE: Final = "POST /finalize-order"
KEY_CHANGE: Final = "POST /rollover-account-key"
REVOKE: Final = "POST /revoke-cert"
EXIT_LEADERSHIP_LOST: Final = 75
STATUS: Final = "PATCH certificates/web/status"
ACCOUNT_SECRET: Final = "PATCH secrets/pebble-account"
TLS_SECRET: Final = "PATCH secrets/web-tls"
SHORT: Final = Profile("half an hour", 1800)
LONGEST_REHEARSAL: Final = dt.timedelta(seconds=100)
AT_ONCE: Final = 40
"""So many namespaces stand still at once: each holds a connection of the operator, which has 64 to the API server."""
ALL: Final = os.environ.get("CERTWRIGHT_TEST_KILLS") == "all"
"""Whether to kill after every write of every act; else after some, of what `test_crashes.py` does not kill."""


@dataclass(frozen=True)
class World:
    """What the operator works on.

    Attributes:
        bed: The bed.
        cluster: The API server, past the proxy.
        operator: Behind the proxies.
        pebble: The CA.
        front: The name server.
        answers: What solver pods answer.
        writes: Of all namespaces.
        first: The CA of the first issuers, which goes away whenever acts begin.
        others: Further operators, which follow.
    """

    bed: TestBed
    cluster: Cluster
    operator: OperatorProcess
    pebble: Pebble
    front: DnsFront
    answers: PodAnswers
    writes: Writes
    first: Pebble
    others: tuple[OperatorProcess, ...] = ()

    def start(self) -> None:
        for one in (self.operator, *self.others):
            if not one.running:
                one.start(wait=False)
        for one in (self.operator, *self.others):
            one.wait_ready()

    def revive(self) -> None:
        """Start again whoever lost its lease, as a Deployment would: a busy machine is no defect."""
        for one in (self.operator, *self.others) if self.others else ():
            if not one.running:
                one.start(wait=False)

    def kill(self) -> None:
        for one in (self.operator, *self.others):
            one.kill()


Objects = dict[str, dict[str, Any]]
"""The Certificates ``web`` or the Issuers ``pebble``, by namespace."""


@dataclass
class Actor:
    """A namespace in which an act is done.

    Attributes:
        world: Where.
        act: What is done.
        namespace: Where.
        kill: After which write the operator is killed; None if it is not.
        before: What there was before the act.
        cut: Whether it had an order that nobody had written down when the operator was killed.
        stood: Whether it came to that write.
    """

    world: World
    act: Act
    kill: Write | None = None
    namespace: str = field(default_factory=lambda: f"test-{secrets.token_hex(4)}")
    before: dict[str, Any] = field(default_factory=dict)
    cut: bool = False
    stood: bool = False

    def __str__(self) -> str:
        return f"{self.act}, killed after {self.kill}" if self.kill else f"{self.act}, not killed"

    @property
    def domain(self) -> str:
        return f"{self.namespace}.example.test"

    @property
    def place(self) -> str:
        """Where the TXT record belongs."""
        return f"_acme-challenge.{self.domain}"

    def apply(self, manifest: dict[str, Any]) -> None:
        self.world.cluster.apply(manifest)

    def apply_issuer(self, name: str = "pebble", server: str | None = None, pebble: Pebble | None = None) -> None:
        world, bed = self.world, self.world.bed
        ingress = {"nameservers": [bed.bind.address], "ingress": {"ingressClassName": "traefik"}}
        more: dict[str, Any] = {"solvers": [{"http01": ingress}]} if self.act.solver == "http-01" else {}
        server = server or self.act.ca.directory_url
        more |= {"profile": self.act.profile if name == "pebble" else "default"}
        more = {"pebble": pebble or world.pebble, "server": server, "dns_server": world.front.address, **more}
        self.apply(issuer(bed, self.namespace, name=name, **more))

    def apply_certificate(self, **spec: Any) -> None:
        self.apply(certificate(self.namespace, "web", [self.domain], **{"renewal": {"ari": False}, **spec}))

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> None:
        self.world.cluster.patch(kind, self.namespace, name, change)

    def request(self, **request: Any) -> None:
        self.patch("Certificate", "web", {"spec": {"request": {"id": "r-1", **request}}})

    def hide(self) -> None:
        """Keep its order waiting: no record is seen, and no file."""
        self.world.front.hide(self.place)
        self.world.answers.hidden.add(self.namespace)

    def show(self) -> None:
        self.world.front.show(self.place)
        self.world.answers.hidden.discard(self.namespace)

    def secret(self, name: str = "web-tls") -> dict[str, bytes]:
        return self.world.cluster.secret_data(self.namespace, name)

    def presented(self) -> set[str]:
        """Return the values in the DNS and the answers of the pods."""
        if self.act.solver == "http-01":
            return set(self.world.answers.of(self.namespace).values())
        return set(self.world.bed.bind.txt_records("example.test").get(self.place, []))


@dataclass(frozen=True, eq=False)
class Act:
    """Something that the operator does for one Certificate or Issuer, by one type of challenge.

    Attributes:
        solver: The type of challenge; an act that presents nothing has dns-01.
        ca: A proxy of its own: an operator sends eight requests at a time to one host.
    """

    solver: str
    ca: RecordingProxy
    name: ClassVar[str]
    orders: ClassVar[int] = 1
    """That are placed in the act itself, if nothing is killed."""
    certificates: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    replaced: ClassVar[int] = 1
    """How often the Secret is written."""
    profile: ClassVar[str] = "default"
    issuers: ClassVar[frozenset[str]] = frozenset({"pebble"})

    def __str__(self) -> str:
        return f"{self.name} by {self.solver}"

    def prepare(self, actor: Actor) -> None:
        """Apply what has to be there before."""
        actor.apply_issuer()
        actor.apply_certificate()

    def is_prepared(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:  # noqa: ARG002 - as the base class has it
        """Whether the act can begin; it may do more for that."""
        return found.get("status", {}).get("revision") == 1 and "order" not in found["status"]

    def begin(self, actor: Actor) -> None:
        """Ask for it; the operator is not running."""
        raise NotImplementedError

    def go_on(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> None:
        """Do what the world does meanwhile."""

    def is_ended(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:  # noqa: ARG002 - as the base class has it
        """Whether it is done."""
        status = found.get("status", {})
        return "order" not in status and status.get("revision") == self.revision and "request" not in found["spec"]

    def check(self, actor: Actor) -> None:
        """Check the end."""
        world, namespace, writes = actor.world, actor.namespace, actor.world.writes
        found = world.cluster.get("Certificate", namespace, "web") or {}
        assert "order" not in found["status"]
        assert not found["status"].get("failedAttempts"), "attempts"
        assert "finalizers" not in found["metadata"]
        assert found["status"]["revision"] == self.revision
        assert actor.presented() == set()
        assert solver_objects(world.cluster, namespace) == []
        kept = {one["metadata"]["name"] for one in world.cluster.find_all("Secret", namespace)}
        accounts = {f"{name}-account" for name in self.issuers}
        assert {name for name in kept if not name.startswith("certwright-revision")} == {"tsig", "web-tls", *accounts}
        data = actor.secret()
        leaf = x509.load_pem_x509_certificate(data["tls.crt"])
        assert load_pem_private_key(data["tls.key"], None).public_key() == leaf.public_key()
        assert int(found["status"]["serialNumber"], 16) == leaf.serial_number
        assert writes.count(namespace, NEW_ORDER) == self.orders + actor.cut, "orders"
        assert writes.count(namespace, FINALIZE) == self.certificates, "certificates"
        assert writes.count(namespace, TLS_SECRET) == self.replaced, "writes of the Secret"
        status = [(world.cluster.get("Issuer", namespace, name) or {})["status"]["acme"] for name in self.issuers]
        assert writes.accounts[namespace] <= {one["uri"] for one in status}
        reasons = {event["reason"] for event in world.cluster.events(namespace, "web")}
        assert not reasons & {"OrderNotOurs", "LeftBehind"}

    def check_request(self, actor: Actor) -> None:
        """Check that a request was carried out, and is recorded, once."""
        found = actor.world.cluster.get("Certificate", actor.namespace, "web") or {}
        assert [(one["id"], one["state"]) for one in found["status"]["requests"]] == [("r-1", "Succeeded")]
        assert "request" not in found["spec"]


class Issuance(Act):
    """From a fresh Issuer on."""

    name = "issuance"

    def prepare(self, actor: Actor) -> None:
        pass

    def is_prepared(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:  # noqa: ARG002 - as the base class has it
        return True

    def begin(self, actor: Actor) -> None:
        actor.apply_issuer()
        actor.apply_certificate()


class Renewal(Act):
    name = "renewal"
    revision = 2

    def begin(self, actor: Actor) -> None:
        actor.request(action="Renew")

    def check(self, actor: Actor) -> None:
        super().check(actor)
        self.check_request(actor)


class Fallback(Act):
    """The first issuer's CA goes away during an order."""

    name = "fallback"
    issuers = frozenset({"first", "pebble"})

    def prepare(self, actor: Actor) -> None:
        actor.hide()
        actor.apply_issuer()
        first = actor.world.first
        actor.apply_issuer("first", first.directory_url, first)
        actor.apply_certificate(issuerRefs=[{"name": "first"}, {"name": "pebble"}])

    def is_prepared(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:
        return is_waiting(found) and "uri" in str(issuer) and bool(actor.presented())

    def begin(self, actor: Actor) -> None:
        first = actor.world.cluster.get("Issuer", actor.namespace, "first") or {}
        assert first["status"]["acme"]["uri"]
        [ready] = [one for one in first["status"]["conditions"] if one["type"] == "Ready"]
        # So that another one is used without the grace of half a minute.
        since = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        ready |= {"status": "False", "reason": "CAUnreachable", "lastTransitionTime": since}
        change = {"conditions": first["status"]["conditions"]}
        actor.world.cluster.patch_status("Issuer", actor.namespace, "first", change)
        actor.show()

    def check(self, actor: Actor) -> None:
        super().check(actor)
        found = actor.world.cluster.get("Certificate", actor.namespace, "web") or {}
        assert found["status"]["issuer"]["name"] == "pebble"


class Rollback(Act):
    """To the revision before: presents nothing, and asks the CA for nothing."""

    name = "rollback"
    orders = certificates = 0
    revision = 2

    def prepare(self, actor: Actor) -> None:
        actor.apply_issuer()
        actor.apply_certificate(revisionHistoryLimit=3)

    def is_prepared(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:  # noqa: ARG002 - as the base class has it
        status = found.get("status", {})
        if "request" in found.get("spec", {}) or "order" in status:
            return False
        kept = [one["revision"] for one in status.get("revisions", ())]
        if kept == [1] and "first" not in actor.before:
            actor.before["first"] = actor.secret()
            actor.patch("Certificate", "web", {"spec": {"request": {"id": "n-1", "action": "Renew"}}})
        return kept == [1, 2]

    def begin(self, actor: Actor) -> None:
        actor.request(action="Rollback")

    def is_ended(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:  # noqa: ARG002 - as the base class has it
        requests = found["status"].get("requests", ())
        return "request" not in found["spec"] and requests[-1]["id"] == "r-1" and requests[-1]["state"] != "Running"

    def check(self, actor: Actor) -> None:
        found = actor.world.cluster.get("Certificate", actor.namespace, "web") or {}
        asked = [(one["id"], one["state"]) for one in found["status"]["requests"]]
        assert asked == [("n-1", "Succeeded"), ("r-1", "Succeeded")]
        now, first = actor.secret(), actor.before["first"]
        assert (now["tls.crt"], now["tls.key"]) == (first["tls.crt"], first["tls.key"])
        super().check(actor)


class Revocation(Act):
    """As the private key is compromised: revoked at once, and replaced."""

    name = "revocation"
    revision = 2

    def begin(self, actor: Actor) -> None:
        actor.before["leaf"] = x509.load_pem_x509_certificate(actor.secret()["tls.crt"])
        actor.request(action="Revoke", reason="keyCompromise")

    def check(self, actor: Actor) -> None:
        super().check(actor)
        self.check_request(actor)
        old = actor.before["leaf"]
        new = x509.load_pem_x509_certificate(actor.secret()["tls.crt"])
        assert old.public_key() != new.public_key()
        assert actor.world.writes.count(actor.namespace, REVOKE) == 1
        found = actor.world.cluster.get("Certificate", actor.namespace, "web") or {}
        [revocation] = found["status"]["revocations"]
        assert (revocation["state"], int(revocation["serialNumber"], 16)) == ("Revoked", old.serial_number)
        # Pebble takes no serial numbers that DER begins with a zero octet.
        known = [(one, said) for one, said in ((old, "Revoked"), (new, "Valid")) if one.serial_number.bit_length() % 8]
        for leaf, said in known:
            assert actor.world.pebble.certificate_status(leaf.serial_number)["Status"] == said


class Rollover(Act):
    """Of the account key, while there are no orders."""

    name = "rollover"
    orders = certificates = replaced = 0

    def begin(self, actor: Actor) -> None:
        actor.before["key"] = AccountKey.from_pem(actor.secret("pebble-account")["tls.key"])
        actor.before["account"] = (actor.world.cluster.get("Issuer", actor.namespace, "pebble") or {})["status"]["acme"]
        actor.patch("Issuer", "pebble", {"spec": {"acme": {"accountKeyRotation": {"request": "now"}}}})

    def is_rotated(self, actor: Actor, issuer: dict[str, Any]) -> bool:
        """Whether the status tells of a new key."""
        return bool(issuer["status"]["acme"]["keyThumbprint"] != actor.before["key"].thumbprint)

    def is_ended(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:
        return super().is_ended(actor, found, issuer) and self.is_rotated(actor, issuer)

    def check(self, actor: Actor) -> None:
        super().check(actor)
        status = (actor.world.cluster.get("Issuer", actor.namespace, "pebble") or {})["status"]
        account, before = status["acme"], actor.before["account"]
        assert account["uri"] == before["uri"]
        assert account["keyRotation"]["formerThumbprint"] == before["keyThumbprint"]
        assert [(one["type"], one["status"]) for one in status["conditions"]] == [("Ready", "True")]
        assert actor.world.writes.count(actor.namespace, KEY_CHANGE) == 1
        data = actor.secret("pebble-account")
        assert set(data) == {"tls.key", "tls.key.previous"}
        present, former = (AccountKey.from_pem(data[entry]) for entry in ("tls.key", "tls.key.previous"))
        assert (present.thumbprint, former) == (account["keyThumbprint"], actor.before["key"])
        known = asyncio.run(known_to(actor.world.pebble, present, former))
        assert known == [present], "the CA knows one key"


class RolloverUnderWay(Rollover):
    """Of the account key, while an order waits: its responses are for the former key."""

    name = "rollover with an open order"
    certificates = replaced = 1

    def prepare(self, actor: Actor) -> None:
        actor.hide()
        super().prepare(actor)

    def is_prepared(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:  # noqa: ARG002 - as the base class has it
        return is_waiting(found) and bool(actor.presented())

    def begin(self, actor: Actor) -> None:
        super().begin(actor)
        actor.before["presented"] = actor.presented()

    def go_on(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> None:  # noqa: ARG002 - as the base class has it
        if self.is_rotated(actor, issuer) and (now := actor.presented()) and not now & actor.before["presented"]:
            actor.show()


class Trial(Act):
    """A rehearsal at another issuer, of a certificate for half an hour."""

    name = "rehearsal"
    replaced = 0
    profile = "short"
    issuers = frozenset({"pebble", "trial"})

    def prepare(self, actor: Actor) -> None:
        super().prepare(actor)
        actor.apply_issuer("trial")

    def is_prepared(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:
        # There is as much time for the rehearsal as the certificate is old then.
        return super().is_prepared(actor, found, issuer) and age_of(found) > LONGEST_REHEARSAL

    def begin(self, actor: Actor) -> None:
        actor.before["secret"] = actor.secret()
        found = actor.world.cluster.get("Certificate", actor.namespace, "web") or {}
        rest = dt.timedelta(seconds=SHORT.validity_seconds) - 2 * age_of(found)
        rehearse = {"ari": False, "rehearse": {"issuerRef": {"name": "trial"}, "before": "1h"}}
        spec = {"renewBefore": f"{rest.total_seconds():.0f}s", "renewal": rehearse}
        actor.patch("Certificate", "web", {"spec": spec})

    def is_ended(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:
        rehearsal = found.get("status", {}).get("renewal", {}).get("rehearsal", {})
        return super().is_ended(actor, found, issuer) and rehearsal.get("state") in {"Succeeded", "Failed"}

    def go_on(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> None:
        """Have no renewal come while others are waited for."""
        if not found["spec"].get("paused") and self.is_ended(actor, found, issuer):
            actor.patch("Certificate", "web", {"spec": {"paused": True}})

    def check(self, actor: Actor) -> None:
        found = actor.world.cluster.get("Certificate", actor.namespace, "web") or {}
        rehearsal = found["status"]["renewal"]["rehearsal"]
        assert rehearsal["state"] == "Succeeded", rehearsal
        super().check(actor)
        assert actor.secret() == actor.before["secret"]


class Mirrored(Act):
    """An issuance for objects of cert-manager, which are served by ours."""

    name = "issuance for cert-manager's objects"

    def prepare(self, actor: Actor) -> None:
        pass

    def is_prepared(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:  # noqa: ARG002 - as the base class has it
        return True

    def begin(self, actor: Actor) -> None:
        self.apply_theirs(actor)

    def apply_theirs(self, actor: Actor, *more: str) -> None:
        """Apply cert-manager's Issuer and Certificate."""
        world, server = actor.world, self.ca.directory_url
        actor.apply(
            their_issuer(world.bed, actor.namespace, pebble=world.pebble, dns_server=world.front.address, server=server)
        )
        actor.apply(their_certificate(actor.namespace, "web", actor.domain, *more))

    def theirs(self, actor: Actor, kind: str = CERTIFICATE, name: str = "web") -> dict[str, Any]:
        """Return cert-manager's object."""
        return actor.world.cluster.get(kind, actor.namespace, name) or {}

    def is_ended(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:
        if not super().is_ended(actor, found, issuer):
            return False
        seen = conditions(self.theirs(actor))
        is_ready = seen.get("Ready", {}).get("status") == "True" and "Issuing" not in seen
        return is_ready and "Ready" in conditions(self.theirs(actor, ISSUER, "pebble"))

    def check(self, actor: Actor) -> None:
        super().check(actor)
        cluster, namespace = actor.world.cluster, actor.namespace
        for kind, name in (("Certificate", "web"), ("Issuer", "pebble")):
            [ours] = cluster.find_all(kind, namespace)
            theirs = self.theirs(actor, f"{kind}.cert-manager.io", name)
            [owner] = ours["metadata"]["ownerReferences"]
            assert (ours["metadata"]["name"], owner["uid"]) == (name, theirs["metadata"]["uid"])
            assert [(one["type"], one["status"]) for one in theirs["status"]["conditions"]] == [("Ready", "True")]
        ours, theirs = cluster.get("Certificate", namespace, "web") or {}, self.theirs(actor)
        fields = ("notBefore", "notAfter", "renewalTime", "revision")
        assert theirs["status"].keys() == {*fields, "conditions"}
        assert {name: theirs["status"][name] for name in fields} == {name: ours["status"][name] for name in fields}
        issuer = cluster.get("Issuer", namespace, "pebble") or {}
        assert self.theirs(actor, ISSUER, "pebble")["status"]["acme"]["uri"] == issuer["status"]["acme"]["uri"]


class MirroredChange(Mirrored):
    """Another domain, in the Certificate of cert-manager."""

    name = "another domain for a Certificate of cert-manager"
    revision = 2

    def prepare(self, actor: Actor) -> None:
        self.apply_theirs(actor)

    def is_prepared(self, actor: Actor, found: dict[str, Any], issuer: dict[str, Any]) -> bool:
        is_issued = Act.is_prepared(self, actor, found, issuer)
        return is_issued and self.theirs(actor).get("status", {}).get("revision") == 1

    def begin(self, actor: Actor) -> None:
        self.apply_theirs(actor, f"*.{actor.domain}")


class MirroredRenewal(MirroredChange):
    """Asked for by `cmctl renew`."""

    name = "renewal by cmctl"

    def begin(self, actor: Actor) -> None:
        now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        change = renewed_by_cmctl(self.theirs(actor), now)["status"]
        actor.world.cluster.patch_status(CERTIFICATE, actor.namespace, "web", change)

    def check(self, actor: Actor) -> None:
        super().check(actor)
        found = actor.world.cluster.get("Certificate", actor.namespace, "web") or {}
        assert [(one["action"], one["state"]) for one in found["status"]["requests"]] == [("Renew", "Succeeded")]
        assert "request" not in found["spec"]


MIRRORED: Final = (Mirrored, MirroredChange, MirroredRenewal)


def is_waiting(found: dict[str, Any]) -> bool:
    """Whether an order says that its responses are not visible."""
    waits = {"WaitingForDNS", "WaitingForHTTP"}
    return any(one["reason"] in waits for one in found.get("status", {}).get("conditions", ()))


def age_of(found: dict[str, Any]) -> dt.timedelta:
    """Return how old a certificate is."""
    return dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(found["status"]["notBefore"])


async def known_to(pebble: Pebble, *keys: AccountKey) -> list[AccountKey]:
    """Return which of these keys have an account."""
    found = []
    for key in keys:
        async with connected(pebble, key) as client:
            try:
                await client.find_account()
            except (AccountDoesNotExist, ProblemError):
                continue
            found.append(key)
    return found


class Run:
    """Does many acts at the same time, and kills the operator once, when all stand still after their writes."""

    def __init__(self, world: World, actors: list[Actor]) -> None:
        self.world, self.actors = world, actors

    def do(self, end: Callable[[], None] | None = None, afterwards: Callable[[], None] = lambda: None) -> list[str]:
        """Do it, and return what is wrong in the end.

        Args:
            end: Ends the operator, and starts one that goes on; by default it is killed and started again.
            afterwards: Called when all are ended, before they are checked.
        """
        world, writes = self.world, self.world.writes
        self.until_still()
        if writes.held:
            for actor in self.actors:
                actor.cut, actor.stood = was_cut(writes.seen[actor.namespace]), actor.namespace in writes.held
            (end or self._restart)()
            self._wait("ended", self._is_ended)
            afterwards()
        wrong = [f"a key that does not fit its certificate: {place}" for place in writes.unfit]
        wrong += [one for actor in self.actors for one in self._wrong(actor)]
        world.kill()
        for actor in self.actors:
            world.cluster.delete("Namespace", None, actor.namespace)
        return wrong

    def until_still(self) -> None:
        """Do it until each namespace stands still, or is at the end."""
        self._prepare()
        self.world.writes.begin({one.namespace: one.kill for one in self.actors if one.kill is not None})
        for actor in self.actors:
            actor.act.begin(actor)
        self.world.start()
        self._wait("ended, or at its write", self._is_still)

    def _prepare(self) -> None:
        world = self.world
        if not world.first.running:
            world.first.start()
        world.start()
        for actor in self.actors:
            world.writes.add(actor.namespace)
            world.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": actor.namespace}})
            actor.apply(tsig_secret(world.bed, actor.namespace))
            actor.act.prepare(actor)
        patience = SECONDS + LONGEST_REHEARSAL.total_seconds()
        self._wait("prepared", lambda one, *seen: one.act.is_prepared(one, *seen), seconds=patience)
        world.kill()
        world.first.stop()

    def _restart(self) -> None:
        self.world.kill()
        self.world.writes.release()
        self.world.start()

    def _wrong(self, actor: Actor) -> list[str]:
        try:
            actor.act.check(actor)
        except AssertionError as error:
            seen = [str(one) for one in self.world.writes.seen[actor.namespace]]
            return [f"{actor} in {actor.namespace}: {error}\n  writes: {seen}"]
        return []

    def _is_still(self, actor: Actor, *seen: dict[str, Any]) -> bool:
        return actor.namespace in self.world.writes.held or self._is_ended(actor, *seen)

    def _is_ended(self, actor: Actor, *seen: dict[str, Any]) -> bool:
        if not all("status" in one for one in seen):
            return False
        actor.act.go_on(actor, *seen)
        return actor.act.is_ended(actor, *seen)

    def _wait(self, what: str, is_done: Callable[..., bool], *, seconds: float = SECONDS) -> None:
        cluster, left = self.world.cluster, list(self.actors)

        def look() -> dict[str, Any]:
            self.world.revive()
            certificates, issuers = (self._all(cluster, *one) for one in (("Certificate", "web"), ("Issuer", "pebble")))
            for actor in list(left):
                if is_done(actor, certificates.get(actor.namespace, {}), issuers.get(actor.namespace, {})):
                    left.remove(actor)
            named = {f"{one} ({one.namespace})": certificates.get(one.namespace, {}).get("status") for one in left[:3]}
            return {"status": {"left": len(left), "first": named}}

        try:
            cluster.wait_for(f"not all are {what}", look, lambda seen: not seen["status"]["left"], seconds=seconds)
        except AssertionError as error:
            for actor in left[:3]:
                error.add_note(f"{actor}: {[str(one) for one in self.world.writes.seen[actor.namespace]]}")
            error.add_note(self.world.operator.tail())
            raise

    def _all(self, cluster: Cluster, kind: str, name: str) -> Objects:
        return {
            one["metadata"]["namespace"]: one for one in cluster.find_all(kind, None) if one["metadata"]["name"] == name
        }


def was_cut(writes: list[Write]) -> bool:
    """Whether an order was placed and not written down."""
    orders = [number for number, one in enumerate(writes) if one.what == NEW_ORDER]
    return bool(orders) and not any(one.what == STATUS for one in writes[orders[-1] :])


@pytest.fixture(scope="module")
def world(  # noqa: PLR0917 - fixtures
    bed: TestBed,
    cluster: Cluster,
    operator_namespace: str,  # noqa: ARG001 - where the Lease is
    without_operator: None,  # noqa: ARG001 - two would share the work
    http_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("kills")
    profiles = {"default": Profile(), "short": SHORT}
    at_once = PebbleOptions(retry_after_authz=0, retry_after_order=0, http_port=http_port, profiles=profiles)
    options = replace(at_once, nonce_reject_percent=0, authz_reuse_percent=0)
    names = [f"pebble-{part}-{folder.parent.name}" for part in ("kills", "first")]
    pebble, first = (bed.start_pebble(name, options) for name in names)
    with (
        RecordingProxy.for_apiserver(bed.apiserver) as api,
        DnsFront(bed.bind) as front,
        pod_answers(cluster, http_port) as answers,
    ):
        writes = Writes()
        writes.watch(api=[api], front=front)
        bed.apply_crds(CERT_MANAGER.find())
        cluster.delete("Lease", LEASE_NAMESPACE, CONTROLLER_LEASE)
        theirs = f"--dns01-recursive-nameservers={front.address} --dns01-recursive-nameservers-only"
        serving = ("--serve-cert-manager-objects", f"--cert-manager-arguments={theirs}")
        operator = operator_behind(api, folder, http_port, *serving)
        yield World(bed, cluster, operator, pebble, front, answers, writes, first)
        operator.kill()
    bed.end_pebble(pebble)
    bed.end_pebble(first)


def operator_behind(api: RecordingProxy, folder: Path, http_port: int, *arguments: str) -> OperatorProcess:
    arguments = ("--solver-image=localhost/certwright:none", f"--http01-port={http_port}", "--workers=200", *arguments)
    name = f"operator-{api.port}"
    return OperatorProcess(api.kubeconfig(folder / name), folder / f"{name}.log", arguments=arguments)


@pytest.fixture(scope="module")
def act(world: World) -> Iterator[Callable[..., Act]]:
    """Makes acts, each with a way of its own to the CA."""
    with ExitStack() as stack:

        def make(kind: type[Act], solver: str = "dns-01") -> Act:
            proxy = stack.enter_context(RecordingProxy.for_pebble(world.pebble))
            world.writes.watch(proxy, api=[], front=world.front)
            return kind(solver, proxy)

        yield make


def killed_after_each_write(world: World, acts: list[Act]) -> list[Actor]:
    """Count the writes of acts, and return one for each of them."""
    clean = [Actor(world, one) for one in acts]
    wrong = Run(world, clean).do()
    assert not wrong, "\n".join(wrong)
    return [Actor(world, one.act, write) for one in clean for write in list(world.writes.seen[one.namespace])]


def some_of(actors: list[Actor]) -> list[Actor]:
    """Return those of the short acts, and a quarter of the others."""
    short = [one for one in actors if isinstance(one.act, Rollback) or type(one.act) is Rollover]
    return short + [one for one in actors if one not in short][::4]


def is_certain(write: Write | None) -> bool:
    """Whether a write comes every time: one of its kind does, but for those that are made now and then."""
    return write is not None and write.number == 1 and not write.what.startswith("PATCH issuers")


def batches(actors: list[Actor], most: int = AT_ONCE) -> list[list[Actor]]:
    """Return the actors in as few batches as can be, each with some of every act."""
    number = -(-len(actors) // most)
    return [actors[first::number] for first in range(number)]


WHAT: Final[dict[str, list[tuple[type[Act], str]]]] = {
    "rollovers, revocation and rollback": [
        (Rollover, "dns-01"),
        (RolloverUnderWay, "dns-01"),
        (RolloverUnderWay, "http-01"),
        (Revocation, "dns-01"),
        (Rollback, "dns-01"),
    ],
    "issuance, renewal and fallback": [
        *((kind, solver) for kind in (Issuance, Renewal, Fallback) for solver in ("dns-01", "http-01")),
        (Revocation, "http-01"),
    ],
    "rehearsal": [(Trial, "dns-01"), (Trial, "http-01")],
}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("what", list(WHAT) if ALL else list(WHAT)[:1])
def test_killed_after_each_write_of(world: World, act: Callable[..., Act], what: str) -> None:
    actors = killed_after_each_write(world, [act(*one) for one in WHAT[what]])
    wrong: list[str] = []
    for batch in batches(actors) if ALL else [some_of(actors)]:
        wrong += Run(world, batch).do()
        # A write that comes again, or that is one of an issuer's, need not come each time.
        wrong += [f"there was no such write: {one}" for one in batch if not one.stood and is_certain(one.kill)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(1200)
def test_killed_after_each_write_that_serves_an_object_of_cert_manager(world: World, act: Callable[..., Act]) -> None:
    actors = killed_after_each_write(world, [act(one) for one in MIRRORED])
    chosen = actors if ALL else [one for one in actors if is_of_mirror(one.kill)]
    wrong: list[str] = []
    for batch in batches(chosen):
        wrong += Run(world, batch).do()
        wrong += [f"there was no such write: {one}" for one in batch if not one.stood and is_certain(one.kill)]
    assert not wrong, "\n".join(wrong)


def is_of_mirror(write: Write | None) -> bool:
    """Whether a write is one that is made for an object of cert-manager only, or could be."""
    ours = {"PATCH certificates/web", "PATCH issuers/pebble"}
    return write is not None and (write.what in ours or "cert-manager.io/" in write.what)


@dataclass
class Pair:
    """Two operators, each with a way of its own to the API server, of which one leads.

    Attributes:
        ways: Both with what is between them and the API server.
    """

    ways: tuple[tuple[OperatorProcess, RecordingProxy], ...]

    def leader(self) -> tuple[OperatorProcess, RecordingProxy]:
        """Wait until one leads."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for operator, api in self.ways:
                if leads(operator):
                    return operator, api
            time.sleep(0.1)
        raise AssertionError("nobody leads")


def leads(operator: OperatorProcess) -> bool:
    try:
        return operator.running and "\ncertwright_leader 1.0" in operator.metrics()
    except OSError:  # it has just ended, or is about to serve
        return False


@pytest.fixture
def pair(world: World, http_port: int, tmp_path: Path) -> Iterator[Pair]:
    world.operator.kill()
    bed = world.bed
    with ExitStack() as stack:
        apis = [
            stack.enter_context(
                RecordingProxy.for_apiserver(bed.apiserver, client=bed.authority.client(user, ["system:masters"]))
            )
            for user in ("kills-a", "kills-b")
        ]
        world.writes.watch(api=apis, front=world.front)
        arguments = ("--leader-elect", "--lease-name=kills")
        operators = [
            operator_behind(api, tmp_path, http_port, *arguments, f"--identity=kills-{api.port}") for api in apis
        ]
        yield Pair(tuple(zip(operators, apis, strict=True)))
        for one in operators:
            one.kill()
    world.cluster.delete("Lease", "certwright", "kills")


@pytest.mark.timeout(600)
def test_a_leader_that_stood_still_after_any_write_of_a_rollover_or_rollback_changes_nothing_more(
    world: World, pair: Pair, act: Callable[..., Act]
) -> None:
    acts = [act(Rollover), act(Rollback), *([act(RolloverUnderWay)] if ALL else [])]
    (first, _), (second, _) = pair.ways
    two = replace(world, operator=first, others=(second,))
    actors = killed_after_each_write(two, acts)

    def change_leaders() -> None:
        operator, api = pair.leader()
        [(other, _)] = [one for one in pair.ways if one[0] is not operator]
        operator.suspend()
        world.writes.release()
        while not leads(other):
            two.revive()
            time.sleep(0.1)
        left.append((operator, api, len(api.requests)))

    left: list[tuple[OperatorProcess, RecordingProxy, int]] = []

    def resume() -> None:
        """What was sent by the one that stood still arrives, and it goes on."""
        [(operator, api, seen)] = left
        sent = world.writes.seen.copy()
        operator.resume()
        assert operator.wait_end(SECONDS) == EXIT_LEADERSHIP_LOST
        assert [one for one in api.requests[seen:] if one.is_write] == []
        assert world.writes.seen == sent

    wrong = Run(two, actors).do(change_leaders, resume)
    assert left
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("restarts", [False, True] if ALL else [False])
def test_a_namespace_that_is_deleted_during_a_rollover_goes(
    world: World, act: Callable[..., Act], *, restarts: bool
) -> None:
    # A record whose credentials went with the namespace, and the process that had them, holds it for ten minutes.
    acts = [act(Rollover)] if restarts else [act(Rollover), act(RolloverUnderWay)]
    places = [(ACCOUNT_SECRET, 1), (KEY_CHANGE, 1), (ACCOUNT_SECRET, 2)]
    actors = [Actor(world, one, Write(*place)) for one in acts for place in places]
    run = Run(world, actors)
    run.until_still()
    assert all(one.namespace in world.writes.held for one in actors)
    for actor in actors:
        world.cluster.delete("Namespace", None, actor.namespace)
    if restarts:
        world.kill()
    world.writes.release()
    if restarts:
        world.start()
    for actor in actors:
        world.cluster.wait_gone("Namespace", None, actor.namespace)
    assert world.bed.bind.txt_records("example.test").keys().isdisjoint(one.place for one in actors)
    assert world.operator.healthy()
    assert "unexpected error" not in world.operator.tail()
