"""A verdict for each object of cert-manager, and what holds it in the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from certwright.cert_manager import Verdict, issuer_type, translate_certificate, translate_issuer
from certwright.cert_manager.spec import mapping

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from certwright.cert_manager import Translation
    from certwright.migration.inventory import Inventory


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
    return Assessment(issuers, certificates, tuple(_warnings(inventory)))


def _warnings(inventory: Inventory) -> list[str]:
    found = []
    if inventory.flags.config:
        found.append(
            f"cert-manager's controller reads further settings from {inventory.flags.config}, which cannot be seen "
            "from here"
        )
    missing = {
        str(mapping(mapping(one.get("spec")).get("issuerRef")).get("name"))
        for one in inventory.certificates
        if mapping(mapping(one.get("spec")).get("issuerRef")).get("group") in {None, "", "cert-manager.io"}
        and inventory.issuer_of(one) is None
    }
    if missing:
        found.append(f"Certificates refer to issuers that are not here: {', '.join(sorted(missing)[:10])}")
    return found
