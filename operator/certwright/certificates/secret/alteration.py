"""Detects admission webhooks that change our labels and annotations while a Secret is written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from certwright.certificates.secret.annotations import READ_ANNOTATIONS, TEMPLATE_ANNOTATION
from certwright.certificates.secret.facts import SecretFacts
from certwright.certificates.secret.manifest import template_keys
from certwright.resources import MANAGED_LABEL
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Alteration:
    """Labels and annotations that did not come back as they were sent.

    They say whose the certificate is and what it was requested with, so the Secret seems to be another one's. This
    process knows better: it wrote it.

    Attributes:
        facts: The Secret as it was sent.
        annotations: Those of ours that were sent.
        names: Which labels and annotations came back otherwise, or not at all.
    """

    facts: SecretFacts
    annotations: Mapping[str, str] = field(repr=False)
    names: tuple[str, ...]

    @classmethod
    def between(cls, sent: Mapping[str, Any], stored: Mapping[str, Any]) -> Alteration | None:
        """Return what the API server stored otherwise than it was sent; None if that is nothing of ours."""
        wanted, found = sent["metadata"], stored["metadata"]
        template = template_keys(wanted["annotations"].get(TEMPLATE_ANNOTATION))
        names = [
            name
            for kind, ours in (("labels", (MANAGED_LABEL,)), ("annotations", READ_ANNOTATIONS))
            for name in (*ours, *template[kind])
            if name in wanted[kind] and (found.get(kind) or {}).get(name) != wanted[kind][name]
        ]
        owners = {one.get("uid") for one in found.get("ownerReferences") or ()}
        if not {one["uid"] for one in wanted.get("ownerReferences") or ()} <= owners:
            names.append("ownerReferences")
        if not names:
            return None
        annotations = {name: wanted["annotations"][name] for name in READ_ANNOTATIONS if name in wanted["annotations"]}
        kept = {kind: {**(found.get(kind) or {}), **wanted[kind]} for kind in ("labels", "annotations")}
        owned = {"ownerReferences": wanted["ownerReferences"]} if wanted.get("ownerReferences") else {}
        return cls(SecretFacts.of({**stored, "metadata": {**found, **kept, **owned}}), annotations, tuple(names))

    def is_about(self, secret: SecretFacts | None) -> bool:
        """Whether a Secret still holds the certificate that was written."""
        return secret is not None and secret.leaf is not None and secret.leaf == self.facts.leaf

    def is_put_right_in(self, secret: SecretFacts) -> bool:
        """Whether a Secret says of its certificate what was sent."""
        return self.undone(secret) == replace(secret, metadata_fingerprint=None) and (
            secret.metadata_fingerprint == self.facts.metadata_fingerprint
        )

    @property
    def said(self) -> str:
        """Which they are, and what changes them, for people."""
        return f" ({listed(self.names)}) during the write itself: an admission webhook changes them"

    def undone(self, secret: SecretFacts) -> SecretFacts:
        """Return a Secret with what was sent of ours, and without the mark that it was written right."""
        ours = self.facts
        return replace(
            secret,
            certificate_name=ours.certificate_name,
            issuer_name=ours.issuer_name,
            issuer_kind=ours.issuer_kind,
            server=ours.server,
            contents=ours.contents,
            revision=ours.revision,
            template=ours.template,
            is_unchanged=ours.is_unchanged,
            is_ours=ours.is_ours,
            placeholder=ours.placeholder,
            rolled_back=ours.rolled_back,
            outputs=secret.outputs or ours.outputs,
            seal=ours.seal,
            metadata_fingerprint=None,
        )

    def undone_in(self, secret: Mapping[str, Any]) -> dict[str, Any]:
        """Return the same of the object."""
        metadata = secret["metadata"]
        annotations = {**(metadata.get("annotations") or {}), **self.annotations}
        return {**secret, "metadata": {**metadata, "annotations": annotations}}
