"""Which of our resources the API server serves, according to its discovery."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from certwright.resources import API_VERSION, GROUP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from certwright.kube.resource import Resource

logger = logging.getLogger(__name__)

GROUPS_PATH: Final = "/apis"
DISCOVERY_PATH: Final = f"/apis/{API_VERSION}"


class Served:
    """What is served of ours; nothing is missing as long as nothing is known.

    Args:
        resources: What is watched. Those of other groups are always served.

    Attributes:
        ours: Those that CRDs of ours define.
        missing: Those of them that are not served.
        lost: Those that were not served at some time, and have not been watched since.
    """

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.ours = [resource for resource in resources if resource.group == GROUP]
        self.missing: list[Resource] = []
        self.lost: set[Resource] = set()

    def see_groups(self, found: Mapping[str, Any]) -> None:
        """Take in an ``APIGroupList``: without any of our CRDs our group is not in it, and kopf asks for no more."""
        if GROUP not in {group.get("name") for group in found.get("groups") or ()}:
            self.see({})

    def see(self, found: Mapping[str, Any]) -> None:
        """Take in the ``APIResourceList`` of our group and version; an empty one if there is none."""
        plurals = {resource.get("name") for resource in found.get("resources") or ()}
        missing = [resource for resource in self.ours if resource.plural not in plurals]
        if missing == self.missing:
            return
        self.missing = missing
        self.lost.update(missing)
        if missing:
            logger.warning(
                "the API server does not serve %s; are the CRDs applied? Watching starts as soon as it does",
                titles(missing),
            )
        else:
            logger.info("the API server now serves %s", titles(self.ours))


def titles(resources: Iterable[Resource]) -> str:
    """Name several resources as kubectl does."""
    return ", ".join(resource.title for resource in resources)
