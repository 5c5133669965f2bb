"""What a DNS provider of another package is made with: the entry points of the group `certwright.dns_providers`.

    [project.entry-points."certwright.dns_providers"]
    example = "certwright_dns_example:ExampleProvider"

The entry point names a class, or a function, that is called with `PluginSettings` and a `ProviderContext` and returns a
`Provider`. It runs in a thread of its own, with an event loop of its own, so it may block, and use libraries that do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns.credential import Credential
    from certwright.dns.provider import Provider, ProviderContext

GROUP: Final = "certwright.dns_providers"
"""The group of the entry points."""


@dataclass(frozen=True)
class PluginSettings:
    """What the user wrote for a plugin.

    Attributes:
        name: The name of the entry point.
        config: The solver's `config`; empty if there is none. It may be a tenant's: check it.
        secrets: The credentials that `secretRefs` name, by the names there.
        ambient: Whether the plugin may use credentials that nobody gave, such as those of the machine.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Credential] = field(default_factory=dict)
    ambient: bool = False


class PluginFactory(Protocol):
    """What an entry point names."""

    def __call__(self, settings: PluginSettings, context: ProviderContext, /) -> Provider:
        """Create the provider.

        Raises:
            DnsError: Some setting cannot be used; the message says which and why, and never shows a credential.
        """
        ...
