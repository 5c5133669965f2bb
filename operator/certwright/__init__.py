"""Certwright: automatic TLS certificates for Kubernetes, and the ACME client library that it is built on.

The library has four packages:

    certwright.client    a certificate in one call: connect, issue, renew, revoke, and the solvers
    certwright.acme      the protocol, request by request: accounts, orders, challenges, and all errors
    certwright.dns       DNS servers and providers: records, zones, propagation
    certwright.pki       keys, signing requests, chains, keystores

Each is loaded on first use. Everything else belongs to the operator and the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from certwright import acme, client, dns, pki

    __version__: str

__all__ = ["__version__", "acme", "client", "dns", "pki"]


if not TYPE_CHECKING:  # A type checker would take any name for one that is here.

    def __getattr__(name: str) -> Any:
        """Load what is not loaded yet: the operator imports this package as well, and needs none of it here."""
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415

            return version("certwright")
        if name in __all__:
            from importlib import import_module  # noqa: PLC0415

            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "Any", "annotations"})
