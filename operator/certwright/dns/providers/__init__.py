"""The DNS providers, one module each. To add one, add a module and a line in `PROVIDERS`.

A module is loaded when its provider is first used, because most installations use only one.

    async with open_provider("cloudflare", api_token="...") as provider:
        await issue(client, ["*.example.com"], solvers=[Dns01(provider, DnsView())])
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from certwright.dns.connections import Connections
from certwright.dns.credential import Credential, credential_name
from certwright.dns.view import DnsView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from certwright.dns.provider import Provider, ProviderConfig
    from certwright.http.message import Transport

PROVIDERS: Final[Mapping[str, str]] = {
    "acme_dns": "AcmeDNSConfig",
    "akamai": "AkamaiConfig",
    "azure_dns": "AzureDNSConfig",
    "cloud_dns": "CloudDNSConfig",
    "cloudflare": "CloudflareConfig",
    "desec": "DesecConfig",
    "digitalocean": "DigitalOceanConfig",
    "gandi": "GandiConfig",
    "godaddy": "GodaddyConfig",
    "hetzner": "HetznerConfig",
    "http_request": "HttpRequestConfig",
    "infomaniak": "InfomaniakConfig",
    "ionos": "IonosConfig",
    "linode": "LinodeConfig",
    "ovh": "OvhConfig",
    "plugin": "PluginConfig",
    "porkbun": "PorkbunConfig",
    "powerdns": "PowerdnsConfig",
    "rfc2136": "Rfc2136Config",
    "route53": "Route53Config",
    "scaleway": "ScalewayConfig",
    "vultr": "VultrConfig",
}
"""The configuration's class of each provider, by the name of the provider and of its module."""

AMBIENT: Final = "ambient"
"""The field of a configuration that says whether the credentials of the process's surroundings may be used."""


def config_type(name: str) -> type[ProviderConfig]:
    """Return the class of a provider's configuration.

    Args:
        name: One of `PROVIDERS`.

    Raises:
        KeyError: There is no such provider.
    """
    found: type[ProviderConfig] = getattr(import_module(f"{__name__}.{name}"), PROVIDERS[name])
    return found


def find_name(text: str) -> str | None:
    """Return the provider that a text names, in capitals, with hyphens, or as an issuer does (`cloudDNS`); or None."""
    return {_plain(name): name for name in PROVIDERS}.get(_plain(text))


def configure(name: str, settings: Mapping[str, Any], *, ambient: bool = False) -> ProviderConfig:
    """Return the configuration of a provider.

    Args:
        name: One of `PROVIDERS`.
        settings: The fields of its configuration; those that are not given have their defaults.
        ambient: Whether it may use the credentials of the surroundings, if it knows any.

    Raises:
        TypeError: A field is missing, or there is no such field.
    """
    kind = config_type(name)
    knows = any(field.name == AMBIENT for field in fields(kind))  # type: ignore[arg-type]  # the protocol demands a dataclass
    return kind(**settings, **({AMBIENT: ambient} if knows and AMBIENT not in settings else {}))


@asynccontextmanager
async def open_provider(
    which: str | ProviderConfig,
    *,
    view: DnsView | None = None,
    transport: Transport | None = None,
    **settings: Any,
) -> AsyncIterator[Provider]:
    """Open a provider; at the end of the block its connections are closed.

    Args:
        which: The name of a provider, such as `cloudflare` or `route53`; or its configuration.
        view: Finds the zones of providers that do not list theirs; None for one with the system's resolvers.
        transport: Sends the requests to its API; None for one of its own, with the proxies and the trust of the
            environment. Whoever gives one closes it.
        settings: The fields of its configuration, with a name. A credential may be given as a text. Where the provider
            knows ambient credentials, such as those of an instance role, it uses them for what is not given;
            `ambient=False` forbids that.

    Raises:
        ValueError: There is no such provider.
        TypeError: A field is missing, or there is no such field.
        DnsError: A value cannot be used; the message never shows a credential.
    """
    config = _configured(which, settings) if isinstance(which, str) else which
    connections = Connections(transport)
    try:
        yield config.build(connections.context(view or DnsView()))
    finally:
        await connections.aclose()


def _configured(name: str, settings: Mapping[str, Any]) -> ProviderConfig:
    found = find_name(name)
    if found is None:
        raise ValueError(f"There is no DNS provider {name!r}: it is one of {', '.join(PROVIDERS)}")
    secret = {field.name for field in fields(config_type(found)) if credential_name(field.metadata)}  # type: ignore[arg-type]  # as above
    values = {
        field: Credential(value, f"the argument {field}") if field in secret and isinstance(value, str) else value
        for field, value in settings.items()
    }
    return configure(found, values, ambient=True)


def _plain(text: str) -> str:
    return text.lower().replace("-", "").replace("_", "")
