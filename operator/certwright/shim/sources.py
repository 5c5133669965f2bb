"""The TLS settings of an Ingress, Gateway or ListenerSet: for each Secret, the domains that it serves.

Pure, and safe for any object: an unknown form is a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.spec import entries, mapping
from certwright.kube.owned import OwningObject
from certwright.kube.resource import (
    CLASS_ANNOTATION,
    GATEWAY_GROUP,
    GATEWAYS,
    INGRESSES,
    LISTENER_SETS,
    X_LISTENER_SETS,
)
from certwright.shim.annotations import MAX_SHOWN, Refusal
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from certwright.kube.resource import Resource
    from certwright.shim.annotations import Wishes

    NamesOf = Callable[["Listener"], Iterable[str]]

OF_GATEWAYS: Final = (LISTENER_SETS, X_LISTENER_SETS)
"""Which add listeners to a Gateway, and take its issuer if they name none."""

MAX_BLOCKS: Final = 100
"""Certificates for one object; more are refused."""
MAX_NAMES: Final = 100
"""Names of one Secret: a certificate takes no more."""
MAX_REFUSALS: Final = 10
"""That are told of one object: Events are for all, and whoever mends ten is told of the next."""


@dataclass
class Block:
    """What is served by one Secret.

    Attributes:
        secret_name: Its name, and that of the Certificate.
        hosts: The DNS names, in order, each once.
    """

    secret_name: str
    hosts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Listener:
    """What an HTTPRoute chooses a listener by.

    Attributes:
        name: Its name.
        port: Its port.
        hostname: The names that it takes; None for all.
    """

    name: str
    port: int | None
    hostname: str | None


@dataclass(frozen=True)
class Blocks:
    """What is served by all of them.

    Attributes:
        blocks: By the name of the Secret.
        refusals: What no Certificate can be made for.
        refused: The Secrets whose Certificates are left as they are.
    """

    blocks: Mapping[str, Block]
    refusals: tuple[Refusal, ...] = ()
    refused: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Source(OwningObject):
    """An object that Certificates are made for.

    Attributes:
        annotations: Its annotations.
        labels: Its labels.
        spec: Its spec.
        status: Its status.
        is_going: Whether it is being deleted.
    """

    annotations: Mapping[str, Any]
    labels: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    is_going: bool

    @classmethod
    def of(cls, resource: Resource, body: Mapping[str, Any]) -> Source:
        """Return an object as the API server has it."""
        metadata = body["metadata"]
        return cls(
            resource=resource,
            namespace=metadata.get("namespace") or "",
            name=metadata["name"],
            uid=metadata.get("uid") or "",
            resource_version=metadata.get("resourceVersion") or "",
            annotations=mapping(metadata.get("annotations")),
            labels=mapping(metadata.get("labels")),
            spec=mapping(body.get("spec")),
            status=mapping(body.get("status")),
            is_going=bool(metadata.get("deletionTimestamp")),
        )


def read_blocks(source: Source, wishes: Wishes, names_of: NamesOf | None = None) -> Blocks:
    """Return what is to be served by which Secret.

    Args:
        source: The object.
        wishes: What its annotations ask for.
        names_of: Returns the names that a listener serves by the routes attached to it; without it the names are those
            of the listeners themselves.
    """
    reading = _Reading(names_of)
    if source.resource == INGRESSES:
        reading.ingress(source.spec)
    else:
        reading.listeners(source, wishes.ignored_listeners)
    return reading.result()


def solver_route(source: Source, wishes: Wishes) -> dict[str, Any]:
    """Return `spec.http01` of the Certificates: how the CA's request gets to the solver; empty to leave it as it is."""
    if source.resource != INGRESSES:
        return {"gatewayHTTPRoute": {"parentRefs": [_parent(source, wishes)]}}
    if wishes.edit_in_place:
        return {"ingress": {"name": source.name}}
    if wishes.ingress is not None:
        return {"ingress": dict(wishes.ingress)}
    name, annotation = source.spec.get("ingressClassName"), source.annotations.get(CLASS_ANNOTATION)
    if isinstance(name, str) and name:
        return {"ingress": {"ingressClassName": name, "onlyIfUnset": True}}
    if isinstance(annotation, str) and annotation:
        return {"ingress": {"class": annotation, "onlyIfUnset": True}}
    return {}


def parent_gateway(source: Source) -> tuple[str, str] | None:
    """Return namespace and name of the Gateway that a ListenerSet adds listeners to, or None."""
    parent = mapping(source.spec.get("parentRef"))
    kind, group, name = parent.get("kind", "Gateway"), parent.get("group", GATEWAY_GROUP), parent.get("name")
    if kind != "Gateway" or group != GATEWAY_GROUP or not isinstance(name, str):
        return None
    namespace = parent.get("namespace")
    return (namespace if isinstance(namespace, str) and namespace else source.namespace, name)


def is_taken(listener_set: Source, gateway: Source) -> bool | None:
    """Return whether a Gateway takes the listeners of a ListenerSet; None if only its controller can tell, and has not.

    By default a Gateway takes none: whoever adds listeners to another's Gateway gets nothing of it by that alone.
    """
    namespaces = mapping(mapping(gateway.spec.get("allowedListeners")).get("namespaces"))
    match namespaces.get("from", "None"):
        case "All":
            return True
        case "Same":
            return listener_set.namespace == gateway.namespace
        case "Selector":
            conditions = map(mapping, entries(listener_set.status.get("conditions")))
            is_accepted = any(one.get("type") == "Accepted" and one.get("status") == "True" for one in conditions)
            return True if is_accepted else None
    return False


def _parent(source: Source, wishes: Wishes) -> dict[str, Any]:
    gateway = parent_gateway(source) if wishes.parent_fallback and source.resource != GATEWAYS else None
    if gateway is not None:
        return {"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": gateway[0], "name": gateway[1]}
    return {
        "group": source.resource.group,
        "kind": source.resource.kind,
        "namespace": source.namespace,
        "name": source.name,
    }


class _Reading:
    def __init__(self, names_of: NamesOf | None) -> None:
        self._names_of = names_of
        self._blocks: dict[str, Block] = {}
        self._refusals: list[Refusal] = []
        self._refused: set[str] = set()

    def result(self) -> Blocks:
        return Blocks(
            {name: block for name, block in self._blocks.items() if name not in self._refused},
            tuple(self._refusals),
            frozenset(self._refused),
        )

    def ingress(self, spec: Mapping[str, Any]) -> None:
        blocks = entries(spec.get("tls"))
        if not blocks:
            self._refuse("spec.tls", "", "is empty: name a Secret and its hosts there to get a certificate")
        for number, entry in enumerate(map(mapping, blocks)):
            place = f"spec.tls[{number}]"
            secret, hosts = entry.get("secretName"), [host for host in entries(entry.get("hosts")) if host]
            if not isinstance(secret, str) or not secret:
                self._refuse(f"{place}.secretName", "", "is not set: it names the Secret for the certificate")
            elif not hosts:
                self._refuse(f"{place}.hosts", "", "is empty: it has the names of the certificate", secret)
            else:
                self._add(place, secret, hosts)

    def listeners(self, source: Source, ignored: frozenset[str]) -> None:
        for number, entry in enumerate(map(mapping, entries(source.spec.get("listeners")))):
            tls = mapping(entry.get("tls"))
            if str(entry.get("protocol")) not in {"HTTPS", "TLS"} or tls.get("mode") == "Passthrough":
                continue
            name = str(entry.get("name") or number)
            if name not in ignored:
                self._listener(f"listener {printable(name, MAX_SHOWN)}", name, entry, tls, source.namespace)

    def _listener(
        self, place: str, name: str, entry: Mapping[str, Any], tls: Mapping[str, Any], namespace: str
    ) -> None:
        secrets = [self._secret(place, mapping(one), namespace) for one in entries(tls.get("certificateRefs"))]
        known = [secret for secret in secrets if secret is not None]
        if not secrets:
            self._refuse(f"{place}: tls.certificateRefs", "", "is empty: it names the Secret for the certificate")
        hostname = entry.get("hostname")
        hosts = [hostname] if isinstance(hostname, str) and hostname else []
        if self._names_of is not None:
            port = entry.get("port")
            listener = Listener(name, port if isinstance(port, int) else None, hosts[0] if hosts else None)
            hosts = sorted(self._names_of(listener))
        for secret in known:
            if hosts:
                self._add(place, secret, hosts)
            elif self._names_of is not None:
                self._refuse(place, "", "has no accepted HTTPRoute with names for it", secret)
            else:
                self._refuse(f"{place}: hostname", "", "is not set: it is the name of the certificate", secret)

    def _secret(self, place: str, reference: Mapping[str, Any], namespace: str) -> str | None:
        """Return the name of the Secret that a listener names, or None if it is none of its namespace."""
        where = f"{place}: tls.certificateRefs"
        name = reference.get("name")
        if reference.get("group") not in (None, "") or reference.get("kind", "Secret") != "Secret":
            self._refuse(where, str(reference.get("kind")), "is not a Secret")
        elif not isinstance(name, str) or not name:
            self._refuse(where, "", "has an entry without a name")
        elif reference.get("namespace") not in (None, "", namespace):
            self._refuse(where, f"{reference['namespace']}/{name}", "is in another namespace: make a Certificate there")
        else:
            return name
        return None

    def _add(self, place: str, secret: str, hosts: Iterable[Any]) -> None:
        if secret not in self._blocks and len(self._blocks) >= MAX_BLOCKS:
            self._refuse(place, secret, f"is one too many: of one object at most {MAX_BLOCKS} are made", secret)
            return
        block = self._blocks.setdefault(secret, Block(secret))
        for host in hosts:
            if not isinstance(host, str):
                self._refuse(place, "", "has a host that is no text", secret)
            elif len(block.hosts) < MAX_NAMES:
                if host not in block.hosts:
                    block.hosts.append(host)
            elif secret not in self._refused and host not in block.hosts:
                self._refuse(place, secret, f"has more than {MAX_NAMES} names, which one certificate takes", secret)

    def _refuse(self, what: str, value: str, why: str, secret: str | None = None) -> None:
        if len(self._refusals) <= MAX_REFUSALS:
            self._refusals.append(Refusal.of(what, value, why))
        if secret is not None:
            self._refused.add(secret)
