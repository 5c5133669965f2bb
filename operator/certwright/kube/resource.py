"""A resource of the API server: a kind of object with all its names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from certwright.resources import GROUP, VERSION, Certificate, ClusterIssuer, Issuer
from certwright.runtime.key import Key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.resources.object import OwnerReference


@dataclass(frozen=True)
class Resource:
    """What is listed and watched.

    Attributes:
        group: API group; "" for the core.
        version: For example ``v1``.
        plural: As in URLs: ``certificates``.
        kind: As in manifests: ``Certificate``.
        labels: Only objects that carry these are watched.
        is_qualified: Whether its group belongs to the names by which we know it: a kind of ours is called the same.
    """

    group: str
    version: str
    plural: str
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    is_qualified: bool = False

    @property
    def title(self) -> str:
        """The resource as kubectl names it: ``certificates.certwright.io``, ``secrets``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def key_kind(self) -> str:
        """What its keys have for a kind: ``Certificate``, or ``Certificate.cert-manager.io`` if it is qualified."""
        return f"{self.kind}.{self.group}" if self.is_qualified else self.kind

    @property
    def label(self) -> str:
        """What metrics call it: ``certificates``, or its whole title if it is qualified."""
        return self.title if self.is_qualified else self.plural

    @property
    def api_version(self) -> str:
        """As in manifests: ``certwright.io/v1``, ``v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """What the paths of its lists begin with: ``apis/certwright.io/v1``, ``api/v1``."""
        return f"apis/{self.api_version}" if self.group else f"api/{self.api_version}"

    @property
    def selector(self) -> str:
        """The labels as the API server takes them; "" without any."""
        return ",".join(f"{name}={value}" for name, value in self.labels.items())

    def selects(self, metadata: Mapping[str, Any]) -> bool:
        """Whether an object carries the labels."""
        return self.labels.items() <= (metadata.get("labels") or {}).items()

    def key(self, metadata: Mapping[str, Any]) -> Key:
        """Return the key of an object."""
        return Key(self.key_kind, metadata.get("namespace") or "", metadata["name"])


CERTIFICATES: Final = Resource(GROUP, VERSION, Certificate.PLURAL, Certificate.KIND)
ISSUERS: Final = Resource(GROUP, VERSION, Issuer.PLURAL, Issuer.KIND)
CLUSTER_ISSUERS: Final = Resource(GROUP, VERSION, ClusterIssuer.PLURAL, ClusterIssuer.KIND)

CLASS_ANNOTATION: Final = "kubernetes.io/ingress.class"
"""Of Ingresses, from before they had `spec.ingressClassName`."""
GATEWAY_GROUP: Final = "gateway.networking.k8s.io"
INGRESSES: Final = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
GATEWAYS: Final = Resource(GATEWAY_GROUP, "v1", "gateways", "Gateway")
HTTP_ROUTES: Final = Resource(GATEWAY_GROUP, "v1", "httproutes", "HTTPRoute")
TLS_ROUTES: Final = Resource(GATEWAY_GROUP, "v1", "tlsroutes", "TLSRoute")
LISTENER_SETS: Final = Resource(GATEWAY_GROUP, "v1", "listenersets", "ListenerSet")
X_LISTENER_SETS: Final = Resource("gateway.networking.x-k8s.io", "v1alpha1", "xlistenersets", "XListenerSet")
"""The same before it was part of the standard."""
ANNOTATED: Final = (INGRESSES, GATEWAYS, LISTENER_SETS, X_LISTENER_SETS)
"""Whose annotations ask for Certificates: of us, and of cert-manager."""


def annotated_kind(owner: OwnerReference) -> Resource | None:
    """Return the one of `ANNOTATED` that an owner is; None if it is none, as others have kinds of these names too."""
    group = owner.api_version.partition("/")[0]
    return next((one for one in ANNOTATED if (one.group, one.kind) == (group, owner.kind)), None)
