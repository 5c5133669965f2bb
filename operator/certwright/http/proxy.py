"""Proxies from the environment: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, or the settings of the system."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass


def environment_proxies() -> tuple[str, ...]:
    """Return the URLs of the proxies in the environment, each once."""
    named = getproxies()
    return tuple(dict.fromkeys(_with_scheme(named[kind]) for kind in ("https", "http", "all") if named.get(kind)))


def environment_proxy(scheme: str, host: str) -> str | None:
    """Return the URL of the proxy for a host according to the environment, or None to connect directly.

    Args:
        scheme: `https` or `http`.
        host: The host, with its port if there is one.
    """
    named = getproxies()
    proxy = named.get(scheme) or named.get("all")
    return None if not proxy or proxy_bypass(host) else _with_scheme(proxy)


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"
