"""Resource record sets as Route 53 writes them in XML, and changes of them.

Source: Amazon Route 53 API Reference, ListResourceRecordSets and ChangeResourceRecordSets.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal
from xml.etree import ElementTree as ET

from certwright.dns.aws.xml import text_of
from certwright.dns.errors import ProviderRefused
from certwright.dns.hosted.text import quoted, unquoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from xml.etree.ElementTree import Element

    from certwright.dns.hosted.record_set import Swap

NAMESPACE: Final = "https://route53.amazonaws.com/doc/2013-04-01/"
MAX_ANSWERED: Final = 8
"""Of the multivalue sets at a name, Route 53 answers so many, chosen at random."""
MAX_VALUES: Final = 1000
"""Values in one request."""
MAX_CHARACTERS: Final = 32_000
"""Of all values in one request."""
MAX_IDENTIFIER: Final = 128

_KNOWN: Final = frozenset(
    {"Name", "Type", "SetIdentifier", "MultiValueAnswer", "TTL", "ResourceRecords", "HealthCheckId"}
)
_OCTAL: Final = re.compile(r"\\([0-7]{3})")

Action = Literal["CREATE", "DELETE"]


@dataclass(frozen=True)
class StoredSet:
    """A set of TXT records, with all that a request to delete it has to repeat.

    Attributes:
        name: Without the trailing dot.
        values: As Route 53 writes them.
        ttl: Seconds.
        identifier: Tells it from other sets at the name; empty for a simple one, which is alone there.
        health_check: The id of its health check, or empty.
        is_routed: Whether which of several sets is answered depends on weights, places or the like, or is an alias.
    """

    name: str
    values: tuple[str, ...]
    ttl: int | None = None
    identifier: str = ""
    health_check: str = ""
    is_routed: bool = False


Step = tuple[Action, StoredSet]


def read_set(element: Element) -> StoredSet | None:
    """Return what a `ResourceRecordSet` is; None if it is not one of TXT records."""
    if text_of(element, "Type") != "TXT":
        return None
    tags = {child.tag.rpartition("}")[2] for child in element}
    ttl = text_of(element, "TTL")
    identifier = text_of(element, "SetIdentifier")
    return StoredSet(
        name=name_of(text_of(element, "Name")),
        values=tuple(value.text or "" for value in element.iterfind("{*}ResourceRecords/{*}ResourceRecord/{*}Value")),
        ttl=int(ttl) if ttl.isdecimal() and len(ttl) <= len("2147483647") else None,
        identifier=identifier,
        health_check=text_of(element, "HealthCheckId"),
        is_routed=not tags <= _KNOWN or (bool(identifier) and text_of(element, "MultiValueAnswer") != "true"),
    )


def name_of(text: str) -> str:
    r"""Return a name as Route 53 writes it (`\\052.example.com.`) without escapes and the trailing dot."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text).rstrip(".").lower()


def steps_of(swap: Swap, host: str) -> list[Step]:
    """Return what swaps a set: the deletion of exactly what was read, and the creation of what takes its place.

    Beside a multivalue set, which cert-manager writes, no simple one can stand. It is not made a simple one either:
    cert-manager deletes exactly the set that it wrote, and would leave its value behind. So each value that is added
    gets a multivalue set of its own, named as cert-manager names its sets.

    Raises:
        ProviderRefused: The sets there are routed, or there would be more than are answered.
    """
    stored: Sequence[StoredSet] = swap.old.version or ()
    if any(one.is_routed for one in stored):
        raise ProviderRefused(
            f"{swap.name} has TXT records with a routing policy (weighted, latency, geolocation, failover or IP-based) "
            "or an alias: a CA would get one of them only. Remove them, or delegate the name with a CNAME",
            host=host,
        )
    if not any(one.identifier for one in stored):
        old = stored[0] if stored else StoredSet(swap.name, (), swap.ttl)
        return list(_replaced(old, swap.remove, [quoted(value) for value in sorted(swap.add)]))
    steps = [step for one in stored for step in _replaced(one, swap.remove)]
    steps += [
        ("CREATE", StoredSet(swap.name, (quoted(value),), swap.ttl, identifier=_identifier(value)))
        for value in sorted(swap.add)
    ]
    left = len(stored) + sum(1 if action == "CREATE" else -1 for action, _ in steps)
    if swap.add and left > MAX_ANSWERED:
        raise ProviderRefused(
            f"{swap.name} would have {left} multivalue answer sets of TXT records, and Route 53 answers {MAX_ANSWERED} "
            "of them at random: remove those that nobody needs",
            host=host,
        )
    return steps


def _replaced(old: StoredSet, remove: frozenset[str], add: Sequence[str] = ()) -> Iterator[Step]:
    kept = tuple(value for value in old.values if unquoted(value) not in remove)
    if kept == old.values and not add:
        return
    if old.values:
        yield "DELETE", old
    if kept or add:
        yield "CREATE", replace(old, values=(*kept, *add))


def _identifier(value: str) -> str:
    text = quoted(value)
    return text if len(text) <= MAX_IDENTIFIER else f"certwright-{hashlib.sha256(value.encode()).hexdigest()}"


def in_batches(swaps: Iterable[tuple[Swap, list[Step]]]) -> Iterator[list[tuple[Swap, list[Step]]]]:
    """Put swaps together as far as a request can be: each is in one request as a whole."""
    batch: list[tuple[Swap, list[Step]]] = []
    values = characters = 0
    for swap, steps in swaps:
        texts = [value for _, one in steps for value in one.values]
        more = len(texts), sum(map(len, texts))
        if batch and (values + more[0] > MAX_VALUES or characters + more[1] > MAX_CHARACTERS):
            yield batch
            batch, values, characters = [], 0, 0
        batch.append((swap, steps))
        values, characters = values + more[0], characters + more[1]
    if batch:
        yield batch


def change_request(steps: Iterable[Step]) -> bytes:
    """Write a `ChangeResourceRecordSetsRequest`, which is carried out as a whole or not at all."""
    root = ET.Element("ChangeResourceRecordSetsRequest", xmlns=NAMESPACE)
    changes = ET.SubElement(ET.SubElement(root, "ChangeBatch"), "Changes")
    for action, one in steps:
        change = ET.SubElement(changes, "Change")
        ET.SubElement(change, "Action").text = action
        _write(ET.SubElement(change, "ResourceRecordSet"), one)
    written: bytes = ET.tostring(root, encoding="utf-8")
    return written


def _write(element: Element, one: StoredSet) -> None:
    fields = {"Name": one.name, "Type": "TXT"}
    if one.identifier:
        fields |= {"SetIdentifier": one.identifier, "MultiValueAnswer": "true"}
    fields["TTL"] = str(one.ttl)
    for name, text in fields.items():
        ET.SubElement(element, name).text = text
    records = ET.SubElement(element, "ResourceRecords")
    for value in one.values:
        ET.SubElement(ET.SubElement(records, "ResourceRecord"), "Value").text = value
    if one.health_check:
        ET.SubElement(element, "HealthCheckId").text = one.health_check
