"""Proxies from the environment: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, or the settings of the system."""

from __future__ import annotations

import ipaddress
from typing import Final, TypeAlias
from urllib.request import getproxies, getproxies_environment, proxy_bypass

_DEFAULT_PORTS: Final = {"https": "443", "http": "80"}

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def environment_proxies() -> tuple[str, ...]:
    """Return the URLs of the proxies in the environment, each once."""
    named = getproxies()
    return tuple(dict.fromkeys(_with_scheme(named[kind]) for kind in ("https", "http", "all") if named.get(kind)))


def environment_proxy(scheme: str, host: str) -> str | None:
    """Return the URL of the proxy for a host according to the environment, or None to connect directly.

    `NO_PROXY` lists, separated by commas, `*` for all hosts, domains (`example.com` and what is below it, also written
    `.example.com` or `*.example.com`), addresses, and networks (`10.0.0.0/8`, `fd00::/8`); each may have a port.
    Addresses and networks are compared with hosts that are addresses; nothing is looked up.

    Args:
        scheme: `https` or `http`.
        host: The host, with its port if there is one.
    """
    named = getproxies()
    proxy = named.get(scheme) or named.get("all")
    if not proxy or _bypassed(scheme, host):
        return None
    return _with_scheme(proxy)


def _bypassed(scheme: str, host: str) -> bool:
    environment = getproxies_environment()
    if not environment:
        # The settings of macOS or Windows, which have exceptions of their own.
        return bool(proxy_bypass(host))
    name, port = _split(host)
    wanted = (name.removesuffix("."), port or _DEFAULT_PORTS.get(scheme, ""))
    return any(_matches(entry, *wanted) for entry in environment.get("no", "").replace(",", " ").split())


def _matches(entry: str, name: str, port: str) -> bool:
    if entry == "*":
        return True
    wanted, wanted_port = _split(entry.lower())
    if wanted_port and wanted_port != port:
        return False
    address = _address(name)
    if address is not None:
        try:
            return address in ipaddress.ip_network(wanted, strict=False)
        except ValueError:
            return False
    domain = wanted.removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(domain) and f".{name}".endswith(f".{domain}")


def _split(text: str) -> tuple[str, str]:
    """Split a host, address or network from its port; an IPv6 address with a port is in brackets."""
    text = text.strip().lower()
    if text.startswith("["):
        inner, _, rest = text[1:].partition("]")
        network, _, port = rest.partition(":")
        return inner + network, port
    if text.count(":") > 1:
        return text, ""
    name, _, port = text.partition(":")
    return name, port


def _address(name: str) -> _Address | None:
    try:
        found = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"
