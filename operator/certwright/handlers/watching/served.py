"""Which of the resources that the operator watches the API server serves, as its discovery says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from certwright.resources import CERTIFICATES, CLUSTER_ISSUERS, GROUP, ISSUERS, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

logger = logging.getLogger(__name__)

OURS: Final = (CERTIFICATES, ISSUERS, CLUSTER_ISSUERS)
GROUPS_PATH: Final = "/apis"
DISCOVERY_PATH: Final = f"/apis/{GROUP}/{VERSION}"


class Served:
    """What is served of ours; nothing is missing as long as nothing is known.

    Attributes:
        missing: What is not, as plurals.
        lost: What was not served at some time, and nobody has begun to watch since.
    """

    def __init__(self) -> None:
        self.missing: list[str] = []
        self.lost: set[str] = set()

    def see_groups(self, found: Mapping[str, Any]) -> None:
        """Take in an ``APIGroupList``: without any of our CRDs our group is not in it, and nobody asks for more."""
        if GROUP not in {group.get("name") for group in found.get("groups") or ()}:
            self.see({})

    def see(self, found: Mapping[str, Any]) -> None:
        """Take in the ``APIResourceList`` of our group and version; an empty one if there is none."""
        plurals = {resource.get("name") for resource in found.get("resources") or ()}
        missing = [plural for plural in OURS if plural not in plurals]
        if missing == self.missing:
            return
        self.missing = missing
        self.lost.update(missing)
        if missing:
            logger.warning(
                "the API server does not serve %s; are the CRDs applied? They are watched as soon as it does",
                titles(missing),
            )
        else:
            logger.info("the API server serves %s by now", titles(OURS))


def title(plural: str) -> str:
    """Name a resource as kubectl does: `certificates.certwright.io`."""
    return f"{plural}.{GROUP}" if plural in OURS else plural


def titles(plurals: Iterable[str]) -> str:
    """Name several."""
    return ", ".join(title(plural) for plural in plurals)
