"""The progress messages of the steps, and how long they wait."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from certwright.cert_manager.spec import mapping

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from certwright.kube.errors import Forbidden, NotFound


@dataclass(frozen=True)
class Progress:
    """How a step tells what it does, and waits.

    Attributes:
        tell: Called with one line for people.
        timeout: Seconds that one wait may take.
        interval: Seconds between two looks.
    """

    tell: Callable[[str], object]
    timeout: float = 600.0
    interval: float = 2.0

    async def looks(self) -> AsyncIterator[float]:
        """Yield the seconds that are left before each look; ends when there are none."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.timeout
        while (left := end - loop.time()) > 0:
            yield left
            await asyncio.sleep(min(self.interval, left))


def leave_out(name: str, refusal: Forbidden | NotFound, progress: Progress) -> None:
    """Tell that an object goes with its namespace; nothing has to be moved.

    Raises:
        Forbidden, NotFound: It was refused for another reason.
    """
    if not refusal.is_for_going_namespace:
        raise refusal
    progress.tell(f"{name} is left out: its namespace is being deleted")


@dataclass
class Outcome:
    """What came of a step.

    Attributes:
        done: How many objects it has brought where they should be.
        problems: What keeps others from it: the object, and why.
    """

    done: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def named(kind: Any, namespace: Any, name: Any) -> str:
    """Return an object for people: ``Certificate shop/web``, ``ClusterIssuer letsencrypt``."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def title(body: Mapping[str, Any]) -> str:
    """Return the same of an object that is there, whatever is missing in it."""
    metadata = mapping(body.get("metadata"))
    return named(body.get("kind"), metadata.get("namespace"), metadata.get("name"))


def marked(manifest: Mapping[str, Any], marks: Mapping[str, str]) -> dict[str, Any]:
    """Return a manifest with further annotations."""
    metadata = dict(manifest["metadata"])
    metadata["annotations"] = {**metadata.get("annotations", {}), **marks}
    return {**manifest, "metadata": metadata}


def mark_of(body: Mapping[str, Any], name: str) -> str | None:
    """Return an annotation, or None without it."""
    found = (body["metadata"].get("annotations") or {}).get(name)
    return str(found) if found is not None else None
