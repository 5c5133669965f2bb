"""What is kept of an object of cert-manager: its translation and its status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import Verdict, api, issuer_type, translate_certificate, translate_issuer
from certwright.cert_manager.spec import mapping
from certwright.kube.owned import OwningObject
from certwright.kube.resource import CERTIFICATES, CLUSTER_ISSUERS, ISSUERS, Resource, annotated_kind
from certwright.mirror import certificate_status, issuer_status
from certwright.mirror.certificate_status import TRIGGERED
from certwright.mirror.conditions import ISSUING, MAX_MESSAGE, find, readable
from certwright.resources.object import OwnerReference

if TYPE_CHECKING:
    from certwright.cert_manager import ControllerFlags, Translation

THEIR_CERTIFICATES: Final = Resource(api.GROUP, api.VERSION, "certificates", "Certificate", is_qualified=True)
THEIR_ISSUERS: Final = Resource(api.GROUP, api.VERSION, "issuers", "Issuer", is_qualified=True)
THEIR_CLUSTER_ISSUERS: Final = Resource(api.GROUP, api.VERSION, "clusterissuers", "ClusterIssuer", is_qualified=True)
OURS: Final[Mapping[Resource, Resource]] = {
    THEIR_CERTIFICATES: CERTIFICATES,
    THEIR_ISSUERS: ISSUERS,
    THEIR_CLUSTER_ISSUERS: CLUSTER_ISSUERS,
}
"""The kind of ours that serves each kind of theirs."""

MAX_SHOWN: Final = 5
"""Reasons of a refusal that a condition shows."""
MAX_TEXT: Final = 256
"""Characters of a text in a status: what is longer is none of ours, and is written over."""
UNREADABLE: Final = "it cannot be read, which is a defect of Certwright: the operator's log says more"
MAX_LABELS: Final = 64
"""Labels that are kept of an object; one with more is not selected by any."""


@dataclass(frozen=True)
class Mirrored(OwningObject):
    """An object of cert-manager.

    Attributes:
        generation: Of its spec.
        is_going: Whether it is being deleted.
        manifest: Our object without metadata of its own, as it can be applied; None if it is refused.
        labels: Its labels, of which those are ours as well that solvers select by.
        refusal: Why it is refused; empty if it is not.
        changes: What means something else with us.
        issuer: Kind and name of the issuer that a Certificate refers to, if it is of cert-manager's group.
        issuer_ref: Name, kind and group of it as they are written; empty for an issuer.
        has_acme: Whether an issuer is of the type that we serve.
        controller: The object whose annotations made it, if there is one.
        status: The fields of its status that are kept, as far as they can be read.
        triggered: When its tools asked for a renewal, as they wrote it; None if they do not.
    """

    generation: int
    is_going: bool
    manifest: Mapping[str, Any] | None
    labels: Mapping[str, str] = field(default_factory=dict)
    refusal: str = ""
    changes: tuple[str, ...] = ()
    issuer: tuple[str, str] | None = None
    issuer_ref: tuple[str, ...] = ()
    has_acme: bool = True
    controller: OwnerReference | None = None
    status: Mapping[str, Any] = field(default_factory=dict)
    triggered: str | None = None

    @classmethod
    def of(cls, resource: Resource, body: Mapping[str, Any], flags: ControllerFlags | None = None) -> Mirrored:
        """Take in an object, whatever is in it: what is no good is refused. It takes a tenth of a second at worst.

        Args:
            resource: What it is.
            body: The object.
            flags: What cert-manager's controller would have been started with; None for its defaults.
        """
        # A watch of one kind says so once, not in every object.
        whole = {**body, "apiVersion": api.API_VERSION, "kind": resource.kind}
        is_certificate = resource == THEIR_CERTIFICATES
        translate = translate_certificate if is_certificate else translate_issuer
        translation = translate(whole, flags=flags)
        found = translation.manifest
        status = mapping(body.get("status"))
        return replace(
            cls.unreadable(resource, body),
            manifest=None if found is None else _manifest(found, whole),
            labels=_labels(mapping(mapping(found).get("metadata")).get("labels")),
            refusal=_refusal(translation),
            changes=tuple(str(one) for one in translation.changes[:MAX_SHOWN]),
            issuer=_issuer(mapping(mapping(found).get("spec"))) if is_certificate else None,
            issuer_ref=_issuer_ref(mapping(body.get("spec"))) if is_certificate else (),
            has_acme=is_certificate or issuer_type(whole) == "acme",
            controller=_controller(body["metadata"]),
            status=_status(status, certificate_status.FIELDS if is_certificate else issuer_status.FIELDS),
            triggered=_trigger(status) if is_certificate else None,
        )

    @classmethod
    def unreadable(cls, resource: Resource, body: Mapping[str, Any]) -> Mirrored:
        """Take in no more than which object it is, as one that is refused."""
        metadata = body["metadata"]
        return cls(
            resource=resource,
            namespace=metadata.get("namespace") or "",
            name=metadata["name"],
            uid=str(metadata.get("uid") or ""),
            generation=int(metadata.get("generation") or 0),
            resource_version=str(metadata.get("resourceVersion") or ""),
            is_going=metadata.get("deletionTimestamp") is not None,
            manifest=None,
            refusal=UNREADABLE,
            issuer_ref=("", "", "") if resource == THEIR_CERTIFICATES else (),
        )

    @property
    def metadata(self) -> Mirrored:
        """Itself: name, generation and UID are asked of the metadata of every object."""
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """Name, namespace and UID in JSON terms."""
        return {"name": self.name, "namespace": self.namespace or None, "uid": self.uid}


def _manifest(found: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return our object without the labels and annotations of theirs.

    These are for tools that look after theirs: on ours they would have it pruned, or reported as not in a repository.
    """
    metadata = {key: found["metadata"][key] for key in ("name", "namespace") if key in found["metadata"]}
    spec = found["spec"]
    if found["kind"] == "Certificate":
        spec = {**spec, "secretTemplate": _template(spec, metadata["name"], theirs)}
    return {**found, "metadata": metadata, "spec": spec}


def _template(spec: Mapping[str, Any], name: str, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template of the Secret with the annotations that cert-manager gives it."""
    template = mapping(spec.get("secretTemplate"))
    reference = mapping(mapping(theirs["spec"]).get("issuerRef"))
    written = {
        "certificate-name": name,
        "issuer-name": reference.get("name") or "",
        "issuer-kind": reference.get("kind") or "Issuer",
        "issuer-group": reference.get("group") or api.GROUP,
    }
    annotations = {f"{api.GROUP}/{key}": value for key, value in written.items()}
    return {**template, "annotations": {**mapping(template.get("annotations")), **annotations}}


def _labels(found: Any) -> dict[str, str]:
    labels = mapping(found)
    return dict(labels) if len(labels) <= MAX_LABELS else {}


def _refusal(translation: Translation) -> str:
    if translation.verdict is not Verdict.STAYS:
        return ""
    shown = [str(one) for one in translation.refusals[:MAX_SHOWN]]
    more = len(translation.refusals) - len(shown)
    return ("; ".join(shown) + (f"; and {more} more" if more else ""))[:MAX_MESSAGE]


def _issuer(spec: Mapping[str, Any]) -> tuple[str, str] | None:
    reference = mapping(spec.get("issuerRef"))
    return (reference["kind"], reference["name"]) if reference else None


def _issuer_ref(spec: Mapping[str, Any]) -> tuple[str, ...]:
    reference = mapping(spec.get("issuerRef"))
    found = (reference.get(key) for key in ("name", "kind", "group"))
    return tuple(text[:MAX_TEXT] if isinstance(text, str) else "" for text in found)


def _controller(metadata: Mapping[str, Any]) -> OwnerReference | None:
    """Return the Ingress, Gateway or ListenerSet whose annotations made a Certificate, or None."""
    controllers = (one for one in metadata.get("ownerReferences") or () if one.get("controller") is True)
    owners = map(OwnerReference.model_validate, controllers)
    return next((owner for owner in owners if annotated_kind(owner) is not None), None)


def _status(status: Mapping[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Return what can be read of the fields that are kept. What cannot differs from what will be written."""
    kept: dict[str, Any] = {}
    for name in fields:
        value = status.get(name)
        if name == "conditions":
            if conditions := readable(status):
                kept[name] = conditions
        elif isinstance(value, str):
            kept[name] = value[: MAX_TEXT + 1]
        elif isinstance(value, Mapping):
            kept[name] = {
                key: text[: issuer_status.MAX_TEXT + 1]
                for key in issuer_status.ACCOUNT
                if isinstance(text := value.get(key), str)
            }
        elif isinstance(value, int):
            kept[name] = value
    return kept


def _trigger(status: Mapping[str, Any]) -> str | None:
    issuing = find(readable(status), ISSUING)
    if issuing is None or (issuing.get("status"), issuing.get("reason")) != TRIGGERED[:2]:
        return None
    return str(issuing.get("lastTransitionTime") or "") or None
