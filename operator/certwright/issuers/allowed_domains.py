"""Which domains a namespace may request from a ClusterIssuer: the rules of `spec.allowed`, for one namespace."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from certwright.acme import Identifier
    from certwright.resources import AllowedDomains

NAMESPACE: Final = "{namespace}"
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
MAX_SHOWN: Final = 5


@dataclass(frozen=True)
class DomainPolicy:
    """What one namespace may request.

    Attributes:
        issuer: The issuer, for messages.
        namespace: The namespace, for messages.
        rules: The positions in `spec.allowed` of the rules for this namespace.
        is_any: Whether one of them allows every domain.
        names: Domains and one-label patterns, in lower case.
        zones: Zones, in lower case.
        ranges: Of IP addresses.
        unread: Why the labels of the namespace are not known, so that no rule with a selector counts; None if they are.
    """

    issuer: str
    namespace: str
    rules: tuple[int, ...]
    is_any: bool
    names: tuple[str, ...]
    zones: tuple[str, ...]
    ranges: tuple[str, ...] = ()
    unread: str | None = None

    def refusal(self, identifiers: Iterable[Identifier]) -> str | None:
        """Say which names may not be requested and what may be, or return None if all may be."""
        refused = [one.value for one in identifiers if not self._covers(one)]
        if not refused:
            return None
        message = f"{self.issuer} does not let namespace {self.namespace} request {listed(refused)}. {self._said()}"
        if self.unread is not None:
            message += f" The rules with a namespaceSelector do not count, because {self.unread}."
        return message

    def _covers(self, identifier: Identifier) -> bool:
        if identifier.type == "ip":
            # No rule for every domain means addresses: those of the ingress controller are shared by all tenants.
            address = ipaddress.ip_address(identifier.value)
            return any(address in ipaddress.ip_network(one) for one in self.ranges)
        if self.is_any:
            return True
        if identifier.type != "dns":
            return False
        name = identifier.value.lower()
        if any(_matches(name, pattern) for pattern in self.names):
            return True
        return any(_in_zone(name, zone) for zone in self.zones)

    def _said(self) -> str:
        if not self.rules:
            return "None of the rules in its spec.allowed is for this namespace."
        where = listed((f"spec.allowed[{position}]" for position in self.rules), most=MAX_SHOWN)
        every = ["every domain, but no IP address"] if self.is_any and not self.ranges else []
        every += ["every domain"] if self.is_any and self.ranges else []
        allowed = [*every, *self.names, *(f"everything in {zone}" for zone in self.zones), *self.ranges]
        return f"Its rules for this namespace ({where}) allow {listed(allowed, most=MAX_SHOWN, none='nothing')}."


def needs_labels(rules: Sequence[AllowedDomains], namespace: str) -> bool:
    """Whether the labels of a namespace matter to any rule that could be for it."""
    return any(rule.namespace_selector is not None and _is_named(rule, namespace) for rule in rules)


def policy_for(
    issuer: str,
    rules: Sequence[AllowedDomains],
    namespace: str,
    labels: Mapping[str, str] | None,
    *,
    unread: str | None = None,
) -> DomainPolicy:
    """Add up the rules that are for a namespace.

    Args:
        issuer: The issuer, for messages.
        rules: Those of the issuer.
        namespace: Of the Certificate.
        labels: Of the namespace; None if they could not be read: no rule with a selector counts then.
        unread: Why they could not be read.
    """
    matching = {
        position: rule
        for position, rule in enumerate(rules)
        if _is_named(rule, namespace) and _is_selected(rule, labels)
    }
    own = matching.values()
    return DomainPolicy(
        issuer=issuer,
        namespace=namespace,
        rules=tuple(matching),
        is_any=any(rule.dns_names is None and rule.dns_zones is None and rule.ip_ranges is None for rule in own),
        names=_filled((name for rule in own for name in rule.dns_names or ()), namespace),
        zones=_filled((zone for rule in own for zone in rule.dns_zones or ()), namespace),
        ranges=tuple(dict.fromkeys(one for rule in own for one in rule.ip_ranges or ())),
        unread=unread,
    )


def _is_named(rule: AllowedDomains, namespace: str) -> bool:
    return rule.namespaces is None or namespace in rule.namespaces


def _is_selected(rule: AllowedDomains, labels: Mapping[str, str] | None) -> bool:
    return rule.namespace_selector is None or (labels is not None and rule.namespace_selector.selects(labels))


def _filled(patterns: Iterable[str], namespace: str) -> tuple[str, ...]:
    # The name of a namespace is one DNS label. Anything else would make a pattern mean something else.
    whole = _LABEL.fullmatch(namespace) is not None
    return tuple(
        dict.fromkeys(one.lower().replace(NAMESPACE, namespace) for one in patterns if whole or NAMESPACE not in one)
    )


def _matches(name: str, pattern: str) -> bool:
    """Whether a name is the pattern itself, or has one label in place of its ``*``."""
    if name == pattern:
        return True
    label, _, rest = name.partition(".")
    return pattern.startswith("*.") and bool(label) and label != "*" and rest == pattern[2:]


def _in_zone(name: str, zone: str) -> bool:
    bare = name.removeprefix("*.")
    return bare == zone or bare.endswith(f".{zone}")
