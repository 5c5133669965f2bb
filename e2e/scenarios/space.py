"""A user's namespace on the node: issuers, Certificates, a web server, and what the operator makes there."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from harness.cluster import SECONDS, conditions
from harness.manifests import certificate, issuer
from harness.solver_objects import KINDS as SOLVER_KINDS
from harness.solver_objects import solver_objects, wait_nothing_left
from scenarios.installed import RESTRICTED
from scenarios.pods import web_ingress
from testbed.network import HTTPS_PORT
from testbed.parts.apiserver import user_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from harness.cluster import Cluster, Object
    from scenarios.installed import Release
    from testbed import TestBed
    from testbed.parts.apiserver import ApiServer

KINDS: Final = (*SOLVER_KINDS, "HTTPRoute", "TLSRoute")
CREATED: Final = 201
INGRESS: Final = {"ingress": {"ingressClassName": "traefik"}}
MAX_ANSWER: Final = 1 << 16


@dataclass(frozen=True)
class Space:
    """A namespace that takes pods of the restricted profile only, and the operator that serves it.

    Attributes:
        bed: The bed.
        cluster: A client of its API server.
        release: The operator.
        namespace: Its name.
    """

    bed: TestBed
    cluster: Cluster
    release: Release
    namespace: str

    def host(self, label: str) -> str:
        """Return a name that leads to Traefik. It is a child of the zone, so that no TXT record hides the wildcard."""
        return f"{label}-{self.namespace}.example.test"

    def add_issuer(self, name: str, *solvers: dict[str, Any], wait: bool = True, **settings: Any) -> None:
        """Apply an Issuer with these solvers, and wait until it is ready, as Certificates do by themselves."""
        self.cluster.apply(issuer(self.bed, self.namespace, name=name, solvers=list(solvers), **settings))
        if wait:
            self.cluster.wait_ready("Issuer", self.namespace, name)

    def http01(
        self, name: str = "http", route: dict[str, Any] | None = None, *, wait: bool = True, **fields: Any
    ) -> None:
        """Apply an Issuer whose one solver is http01, by default with pods behind Traefik."""
        self.add_issuer(name, {"http01": {**(route or INGRESS), **fields}}, wait=wait)

    def apply(self, name: str, *dns_names: str, issuer_name: str = "http", **spec: Any) -> Object:
        """Apply a Certificate."""
        return self.cluster.apply(certificate(self.namespace, name, dns_names, issuer_name=issuer_name, **spec))

    def ready(self, name: str, *, seconds: float = SECONDS) -> Object:
        """Wait until a Certificate is Ready."""
        return self.cluster.wait_ready("Certificate", self.namespace, name, seconds=seconds)

    def serve(self, name: str, *hosts: str) -> None:
        """Put the web server behind Traefik under these hosts, with the Certificate's Secret: what a user would do."""
        for number, host in enumerate(hosts):
            manifest = web_ingress(self.namespace, "web", host)
            manifest["metadata"]["name"] = f"{name}-{number}"
            manifest["spec"]["tls"] = [{"hosts": [host], "secretName": f"{name}-tls"}]
            self.cluster.apply(manifest)

    def verified(self, host: str) -> set[str]:
        """Ask the web server for a page over HTTPS through Traefik, trusting the CA's root and nothing else.

        Returns:
            The domains and addresses of the certificate that Traefik has shown.

        Raises:
            NotAsExpected: It could not be verified, or something else answered.
        """
        root = self.bed.pebble.root_pem().decode()

        def look() -> Object:
            try:
                names, body = https(self.bed.node.address, host, root)
            except OSError as error:
                return {"status": {"error": str(error)}}
            return {"status": {"names": names, "body": body}}

        seen = self.cluster.wait_for(
            f"https://{host} is not verified, or another one answers",
            look,
            lambda found: f"hello from {host} on web" in found["status"].get("body", ""),
        )
        return set(seen["status"]["names"])

    def made(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind that the operator has ever created here, by the audit log."""
        resource = {"HTTPRoute": "httproutes", "TLSRoute": "tlsroutes", "Ingress": "ingresses"}.get(
            kind, f"{kind.lower()}s"
        )
        return [
            event["objectRef"]["name"]
            for event in events_of(self.bed.apiserver, self.namespace)
            if user_of(event) == self.release.service_account
            and event["objectRef"]["resource"] == resource
            and event["responseStatus"].get("code") == CREATED
        ]

    def solver_objects(self, kinds: Iterable[str] = KINDS) -> list[Object]:
        """Return everything of solvers' in the namespace."""
        return solver_objects(self.cluster, self.namespace, kinds)

    def nothing_left(self) -> None:
        """Wait until no object of a solver is left."""
        wait_nothing_left(self.cluster, self.namespace, KINDS)

    def solver_pod(self, *, phases: Collection[str] = ("Running",)) -> Object:
        """Wait for the one solver pod that is to stay, in one of these phases, and return it."""

        def look() -> Object:
            found = self.solver_objects(["Pod"])
            return {"items": [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]}

        seen = self.cluster.wait_for(
            f"there is no solver pod {phases}",
            look,
            lambda found: len(found["items"]) == 1 and found["items"][0]["status"].get("phase") in phases,
        )
        pod: Object = seen["items"][0]
        return pod

    def told(self, name: str, *words: str) -> Object:
        """Wait until a Certificate that is not Ready says all of these words, in its conditions and in a Warning Event.

        Raises:
            NotAsExpected: It never did; what it said last is in the message.
        """

        def says(message: str) -> bool:
            return all(word in message for word in words)

        def condition_says(found: Object) -> bool:
            seen = conditions(found)
            return {"Ready", "Issuing"} <= seen.keys() and all(
                says(seen[kind]["message"]) and seen["Ready"]["status"] == "False" for kind in ("Ready", "Issuing")
            )

        found = self.cluster.wait_for(
            f"Certificate {name} does not say {words}",
            lambda: self.cluster.get("Certificate", self.namespace, name),
            condition_says,
        )
        self.cluster.wait_for(
            f"no Warning Event about {name} says {words}",
            lambda: {"status": {"events": [one["message"] for one in self._warnings(name)]}},
            lambda seen: any(says(message) for message in seen["status"]["events"]),
        )
        return found

    def goes_on(self, issuer_name: str = "good") -> None:
        """Get another Certificate, as if nothing were wrong with the first one."""
        self.apply("other", self.host("other"), issuer_name=issuer_name)
        self.ready("other")

    def lead(self, host: str, address: str | None) -> None:
        """Let a name of this space lead to an address, or to the ingress controller's again."""
        self.bed.bind.change("example.test", "delete", f"{host}.", "A")
        if address is not None:
            self.bed.bind.change("example.test", "add", f"{host}.", 1, "A", address)

    def _warnings(self, name: str) -> list[Object]:
        return [event for event in self.cluster.events(self.namespace, name) if event["type"] == "Warning"]


@contextmanager
def fresh_namespace(cluster: Cluster) -> Iterator[str]:
    """Make a namespace that takes pods of the restricted profile only; it goes afterwards."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})
    yield name
    cluster.delete("Namespace", None, name)


def https(address: str, host: str, root: str) -> tuple[list[str], str]:
    """Make a request on a connection to an address; return the certificate's domains and addresses, and the answer.

    Raises:
        OSError: Nobody answers, or the certificate is not verified with `root` for `host`.
    """
    context = ssl.create_default_context(cadata=root)
    with (
        socket.create_connection((address, HTTPS_PORT), timeout=5.0) as connection,
        context.wrap_socket(connection, server_hostname=host) as secured,
    ):
        shown = secured.getpeercert() or {}
        secured.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while len(answer) < MAX_ANSWER and (part := secured.recv(MAX_ANSWER)):
            answer += part
    names = [str(entry[1]) for entry in shown.get("subjectAltName", ()) if entry[0] in {"DNS", "IP Address"}]
    return names, answer.decode(errors="replace")


def events_of(apiserver: ApiServer, namespace: str) -> list[dict[str, Any]]:
    """Return the audit log's events about objects in a namespace."""
    # Most entries are about other users, and parsing them takes longer than searching.
    mark = f'"namespace":"{namespace}"'
    with apiserver.audit_log.open() as log:
        events = [json.loads(line) for line in log if mark in line and line.endswith("\n")]
    return [event for event in events if event.get("objectRef", {}).get("namespace") == namespace]
