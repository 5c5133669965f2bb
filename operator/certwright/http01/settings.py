"""The Kubernetes settings of the http-01 solver for one order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping  # noqa: TC003 - dataclasses are easier to read with real annotations
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from certwright.http.addresses import AddressPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from certwright.challenges.response import FileResponse

PathType: TypeAlias = Literal["ImplementationSpecific", "Exact", "Prefix"]

SOLVER_LABEL: Final = "certwright.io/http01-solver"
UID_LABEL: Final = "certwright.io/certificate-uid"
COMMON_LABELS: Final = {
    "app.kubernetes.io/name": "certwright-solver",
    "app.kubernetes.io/managed-by": "certwright",
    SOLVER_LABEL: "true",
}
LONGEST_STEM: Final = 40
"""Of an object's name: a Service's has room for 63 characters."""


@dataclass(frozen=True)
class Owner:
    """The Certificate that the objects belong to.

    Attributes:
        namespace: Its namespace, and theirs.
        name: Its name.
        uid: Its UID.
        reference: The entry for `metadata.ownerReferences`.
    """

    namespace: str
    name: str
    uid: str
    reference: Mapping[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every object that is made for it."""
        return {**COMMON_LABELS, UID_LABEL: self.uid}

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which its objects, and no others, are found."""
        return {SOLVER_LABEL: "true", UID_LABEL: self.uid}


@dataclass(frozen=True)
class IngressRoute:
    """Leads to the solver by an Ingress.

    Attributes:
        class_name: `spec.ingressClassName`, or None.
        class_annotation: The annotation `kubernetes.io/ingress.class`, or None.
        edit: The name of an Ingress to add rules to, or None for one of its own.
        labels: Further labels of its own Ingress.
        annotations: Further annotations of its own Ingress.
        path_type: Of its paths. A validation of ingress-nginx allows no dots in those of type Exact and Prefix.
    """

    class_name: str | None = None
    class_annotation: str | None = None
    edit: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    path_type: PathType = "ImplementationSpecific"


@dataclass(frozen=True)
class GatewayRoute:
    """Leads to the solver by HTTPRoutes.

    Attributes:
        parent_refs: The Gateways that they attach to.
        labels: Further labels of theirs.
    """

    parent_refs: tuple[Mapping[str, Any], ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TlsRoute:
    """Leads to the solver of tls-alpn-01 by TLSRoutes.

    Attributes:
        parent_refs: The Gateways that they attach to.
        labels: Further labels of theirs.
    """

    parent_refs: tuple[Mapping[str, Any], ...]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OwnService:
    """Leads to the solver of tls-alpn-01 by its Service alone.

    Attributes:
        type: Of the Service.
        node_port: The port of the nodes, or None.
        load_balancer_class: `spec.loadBalancerClass`, or None.
    """

    type: str
    node_port: int | None = None
    load_balancer_class: str | None = None


@dataclass(frozen=True)
class PodSettings:
    """What the solver pod is made of.

    Attributes:
        image: Certwright's own.
        pull_policy: When it is pulled.
        template: A `podTemplate` in JSON terms: `metadata` and `spec`.
        resources: Requests and limits, unless the template has some; None for the default.
    """

    image: str
    pull_policy: str = "IfNotPresent"
    template: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class SharedSettings:
    """Where the operator's own responder is reached.

    Attributes:
        address: An IP address that the ingress controller can reach.
        port: Its port.
        tls_port: Its port for tls-alpn-01; 0 for none.
    """

    address: str
    port: int
    tls_port: int = 0


@dataclass(frozen=True)
class Settings:
    """What an issuer and the operator's options say about http-01.

    Attributes:
        responder: What answers.
        route: How requests get there.
        service_type: Of the Service between the two.
        self_check: Whether the file is looked for before the CA is.
        check_port: The port that the CA asks at: 80 for every CA but those for tests.
        nameservers: Recursive DNS servers that the self-check looks names up at; empty for the system's.
        every_address: Whether all addresses of a host must answer the self-check, or whichever answers first.
        addresses: Which addresses the self-check may connect to.
    """

    responder: PodSettings | SharedSettings
    route: IngressRoute | GatewayRoute | TlsRoute | OwnService
    service_type: str = "ClusterIP"
    self_check: Literal["required", "advisory", "off"] = "required"
    check_port: int = 80
    nameservers: tuple[str, ...] = ()
    every_address: bool = True
    addresses: AddressPolicy = field(default_factory=AddressPolicy)


def object_name(owner: Owner, files: Iterable[FileResponse], settings: Settings) -> str:
    """Return the name of the objects for these files: the same for the same, so that making them again changes nothing.

    Where the operator's responder is reached does not count: its EndpointSlice is led elsewhere. Settings that would
    need another pod make another name. It starts with a letter and has no dots, as the name of a Service must.
    """
    of_pod = settings.responder if isinstance(settings.responder, PodSettings) else None
    made_of = [owner.uid, repr(of_pod), repr(settings.route), settings.service_type]
    content = "\n".join([*made_of, *sorted(f"{file.host} {file.token}" for file in files)])
    return f"{_stem(owner)}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def is_object_name(owner: Owner, name: str) -> bool:
    """Return whether a name could be one that `object_name` gave for this Certificate; a status may have any other."""
    return re.fullmatch(rf"{re.escape(_stem(owner))}-[0-9a-f]{{10}}", name) is not None


def _stem(owner: Owner) -> str:
    stem = re.sub(r"[^a-z0-9-]", "-", owner.name)[:LONGEST_STEM].strip("-")
    return f"cw-{stem}"
