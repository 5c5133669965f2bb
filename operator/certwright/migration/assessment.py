"""Assesses each object of cert-manager, and finds what keeps it in the cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from certwright.cert_manager import Verdict, issuer_type, translate_certificate, translate_issuer
from certwright.cert_manager.spec import mapping
from certwright.migration.progress import named
from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from certwright.cert_manager import Translation
    from certwright.migration.inventory import Inventory

SHOWN: Final = 10
"""Objects that one warning names."""
SHIM_OWNERS: Final = frozenset({"Ingress", "Gateway", "ListenerSet", "XListenerSet"})
"""Whose annotations made a Certificate: they own ours as well, so that our shim knows it."""


@dataclass(frozen=True)
class Assessed:
    """An object and what becomes of it.

    Attributes:
        source: The object of cert-manager.
        translation: The object in our terms.
    """

    source: Mapping[str, Any]
    translation: Translation

    @property
    def moves(self) -> bool:
        """Whether it can be Certwright's."""
        return self.translation.verdict is not Verdict.STAYS

    @property
    def annotated(self) -> Mapping[str, Any] | None:
        """The Ingress, Gateway or ListenerSet whose annotations made it, as in its owner references; None without."""
        references = mapping(self.source.get("metadata")).get("ownerReferences") or ()
        return next((one for one in references if isinstance(one, dict) and one.get("kind") in SHIM_OWNERS), None)

    @property
    def uid(self) -> str:
        """The UID of the object of cert-manager; empty if it is from a file."""
        return str(mapping(self.source.get("metadata")).get("uid") or "")


@dataclass(frozen=True)
class Assessment:
    """What becomes of everything.

    Attributes:
        issuers: In the order in which they were found.
        certificates: The same.
        warnings: What cannot be seen from the objects.
    """

    issuers: tuple[Assessed, ...]
    certificates: tuple[Assessed, ...]
    warnings: tuple[str, ...]

    @property
    def holders(self) -> dict[str, int]:
        """What keeps cert-manager in the cluster: types of issuers without ACME, and how many there are of each."""
        found: dict[str, int] = {}
        for one in self.issuers:
            held = issuer_type(one.source)
            if held is not None and held != "acme":
                found[held] = found.get(held, 0) + 1
        return found

    @property
    def is_mixed(self) -> bool:
        """Whether something stays with cert-manager, so that it has to run on."""
        return any(not one.moves for one in (*self.issuers, *self.certificates))

    @property
    def keeps_shims(self) -> bool:
        """Whether cert-manager goes on to make Certificates for annotated objects: if all that it has made so stay."""
        annotated = [one for one in self.certificates if one.annotated is not None]
        return bool(annotated) and not any(one.moves for one in annotated)

    @property
    def unattended(self) -> list[str]:
        """The annotated objects that nothing follows after that: their Certificates stay, what makes them does not."""
        if self.keeps_shims:
            return []
        return [
            printable(named(owner.get("kind"), mapping(one.source.get("metadata")).get("namespace"), owner.get("name")))
            for one in self.certificates
            if not one.moves and (owner := one.annotated) is not None
        ]

    def count(self, verdict: Verdict) -> int:
        """Return how many objects have a verdict."""
        return sum(one.translation.verdict is verdict for one in (*self.issuers, *self.certificates))


def assess(inventory: Inventory) -> Assessment:
    """Return a verdict for each object."""
    issuers = tuple(Assessed(one, translate_issuer(one, flags=inventory.flags)) for one in inventory.issuers)
    certificates = tuple(
        Assessed(one, translate_certificate(one, issuer=inventory.issuer_of(one), flags=inventory.flags))
        for one in inventory.certificates
    )
    found = Assessment(issuers, certificates, tuple(_warnings(inventory)))
    if unattended := list(dict.fromkeys(found.unattended)):
        more = f" and {len(unattended) - SHOWN} more" if len(unattended) > SHOWN else ""
        warning = (
            f"Annotations name issuers that stay with cert-manager at {', '.join(unattended[:SHOWN])}{more}. Their "
            "Certificates stay and are renewed there, but cert-manager no longer follows annotations after --apply: "
            "write a Certificate of cert-manager for what changes"
        )
        found = replace(found, warnings=(*found.warnings, warning))
    return found


def _warnings(inventory: Inventory) -> list[str]:
    found = []
    if inventory.flags.config:
        found.append(
            f"cert-manager's controller reads further settings from {inventory.flags.config}, which cannot be seen "
            "from here"
        )
    missing = {
        printable(str(mapping(mapping(one.get("spec")).get("issuerRef")).get("name")))
        for one in inventory.certificates
        if mapping(mapping(one.get("spec")).get("issuerRef")).get("group") in {None, "", "cert-manager.io"}
        and inventory.issuer_of(one) is None
    }
    if missing:
        found.append(f"Certificates refer to issuers that are not here: {', '.join(sorted(missing)[:10])}")
    return found
