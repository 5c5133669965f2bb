"""DNS providers from other packages, through entry points in the group `certwright.dns_providers`.

    [project.entry-points."certwright.dns_providers"]
    example = "certwright_dns_example:ExampleProvider"

The entry point names a class or a function that is called with `PluginSettings` and a `ProviderContext`, and returns a
`Provider`. It runs in its own thread with its own event loop, so it may block, or use libraries that block.
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
    """The user's settings for a plugin.

    Attributes:
        name: The name of the entry point.
        config: The solver's `config`; empty if there is none. It may come from a tenant, so validate it.
        secrets: The credentials in `secretRefs`, by their names there.
        ambient: Whether the plugin may use ambient credentials, such as those of the machine.
    """

    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Credential] = field(default_factory=dict)
    ambient: bool = False


class PluginFactory(Protocol):
    """The type of object that an entry point names."""

    def __call__(self, settings: PluginSettings, context: ProviderContext, /) -> Provider:
        """Create the provider.

        Raises:
            DnsError: A setting is invalid. The message says which and why, and never shows a credential.
        """
        ...
