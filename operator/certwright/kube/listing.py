"""Lists of objects, page by page, bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from certwright.kube.errors import AnswerTooLarge
from certwright.kube.paths import object_path

if TYPE_CHECKING:
    from certwright.kube.client import KubeClient

PAGE: Final = 250
"""Objects in one answer; a Certificate takes about 6 KB, and an answer may have 4 MiB."""
MOST: Final = 20_000
"""Objects that one list may have."""


@dataclass(frozen=True)
class Listed:
    """What was listed.

    Attributes:
        items: The objects.
        is_cut: Whether there are more than were asked for.
    """

    items: list[dict[str, Any]]
    is_cut: bool


async def list_all(
    client: KubeClient,
    root: str,
    plural: str,
    namespace: str | None,
    *,
    labels: str | None = None,
    fields: str | None = None,
    most: int = MOST,
) -> Listed:
    """Return the objects of a kind, in a namespace or, with None, in all of them.

    Args:
        client: Sends the requests.
        root: What the paths of its API version begin with, such as ``/apis/certwright.io/v1``.
        plural: The resource.
        namespace: Where; None for everywhere.
        labels: A label selector.
        fields: A field selector.
        most: How many at most.

    Raises:
        NotFound: The API server does not know the kind.
        KubeError: It cannot be asked, or refuses.
    """
    query = {key: text for key, text in (("labelSelector", labels), ("fieldSelector", fields)) if text}
    items: list[dict[str, Any]] = []
    page, token = min(PAGE, most), ""
    while True:
        request = {**query, "limit": str(page), **({"continue": token} if token else {})}
        try:
            found = await client.request(
                "GET",
                object_path(root, plural, namespace),
                action=f"list {plural} in {namespace or 'all namespaces'}",
                query=request,
            )
        except AnswerTooLarge:
            if page == 1:
                raise
            page = max(page // 4, 1)
            continue
        items += found.get("items") or []
        token = str((found.get("metadata") or {}).get("continue") or "")
        if not token or len(items) >= most:
            return Listed(items[:most], bool(token) or len(items) > most)
