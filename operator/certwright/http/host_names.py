"""Looks up host names as absolute names, so that a search domain with a wildcard cannot answer for them.

A pod's resolver tries its search domains first for every name with fewer than five dots (`ndots:5`). Where one of them
has a wildcard record, `ca.example.com` leads there. The rule:

- A name in `/etc/hosts`, a name without a dot and one that ends in `.svc` or `.localhost` is looked up as it is
  written: these forms need the hosts file or a search domain.
- Any other name is looked up with its final dot. A name with a single dot that does not exist then is looked up as it
  is written, as it may be `service.namespace`.

The final dot is for the look-up only: TLS, the `Host` header and SNI have the name without it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from pathlib import Path
from typing import Any, Final

_HOSTS_FILE: Final = Path("/etc/hosts")
_MAX_HOSTS_BYTES: Final = 1024 * 1024
_RELATIVE: Final = (".svc", ".localhost")

_known: dict[tuple[int, int], frozenset[str]] = {}
"""The names in the hosts file, by its time and size: read again when it changes."""


def lookup_names(host: str) -> tuple[str, ...]:
    """Return what to look a host up as, in order: the next one only if one does not exist."""
    if host.endswith(".") or "." not in host or _is_address(host):
        return (host,)
    lowered = host.lower()
    if lowered.endswith(_RELATIVE) or lowered in _names_in_hosts_file():
        return (host,)
    return (f"{host}.", host) if host.count(".") == 1 else (f"{host}.",)


def without_final_dot(host: str) -> str:
    """Return a host, which may have a port, as TLS and HTTP have it."""
    name, colon, port = host.partition(":")
    return f"{name.removesuffix('.')}{colon}{port}"


async def resolve(host: str, port: int | None) -> list[tuple[Any, ...]]:
    """Return the addresses of a host as `socket.getaddrinfo` does.

    Raises:
        OSError: It has none.
        UnicodeError: It is no host name.
    """
    loop, names = asyncio.get_running_loop(), lookup_names(host)
    for name in names[:-1]:
        try:
            return await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if not is_missing(error):
                raise
    return await loop.getaddrinfo(names[-1], port, type=socket.SOCK_STREAM)


def is_missing(error: BaseException | None) -> bool:
    """Return whether an error, or what caused it, says that a host does not exist."""
    while error is not None:
        if isinstance(error, socket.gaierror):
            return error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
        error = error.__cause__ or error.__context__
    return False


def _names_in_hosts_file() -> frozenset[str]:
    try:
        found = _HOSTS_FILE.stat()
        key = (found.st_mtime_ns, found.st_size)
        if key not in _known:
            with _HOSTS_FILE.open("rb") as file:
                text = file.read(_MAX_HOSTS_BYTES).decode("utf-8", "replace")
            lines = (line.partition("#")[0].split()[1:] for line in text.splitlines())
            _known.clear()
            _known[key] = frozenset(name.lower() for line in lines for name in line)
        return _known[key]
    except OSError:
        return frozenset()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        # What the C library takes for an address in other forms, such as 127.1, has a number for its last label.
        return host.rpartition(".")[2].isdecimal()
    return True
