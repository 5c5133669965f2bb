"""The DNS providers, one module each. To add one, add a module and a line in `PROVIDERS`.

A module is loaded when its provider is first used: most installations use one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns.provider import ProviderConfig

PROVIDERS: Final[Mapping[str, str]] = {
    "cloudflare": "CloudflareConfig",
    "rfc2136": "Rfc2136Config",
    "route53": "Route53Config",
}
"""The configuration's class of each provider, by the name of the provider and of its module."""


def config_type(name: str) -> type[ProviderConfig]:
    """Return the class of a provider's configuration.

    Args:
        name: One of `PROVIDERS`.

    Raises:
        KeyError: There is no such provider.
    """
    found: type[ProviderConfig] = getattr(import_module(f"{__name__}.{name}"), PROVIDERS[name])
    return found
