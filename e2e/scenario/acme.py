"""The ACME library against the bed: an account at a Pebble, and the bed's DNS as the library sees it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import dns.query
import dns.rcode
import dns.tsig
import dns.update

from certwright.acme import HttpxTransport
from certwright.client import connect
from certwright.dns import DnsView, TsigKey
from certwright.dns.providers.rfc2136 import Rfc2136Provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from certwright.acme import AccountCredentials, AccountKey, Client, ExternalAccountBinding, RequestRecord
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble


@asynccontextmanager
async def connected(
    pebble: Pebble,
    account: AccountCredentials | AccountKey | None = None,
    *,
    http2: bool = False,
    on_request: Callable[[RequestRecord], None] | None = None,
) -> AsyncIterator[Client]:
    """A client at a Pebble, not registered."""
    async with (
        HttpxTransport(ca_bundle=pebble.ca_bundle_pem.decode(), http2=http2) as transport,
        connect(pebble.directory_url, account=account, transport=transport, on_request=on_request) as client,
    ):
        yield client


@asynccontextmanager
async def registered(
    pebble: Pebble,
    account: AccountKey | None = None,
    *,
    binding: ExternalAccountBinding | None = None,
    on_request: Callable[[RequestRecord], None] | None = None,
) -> AsyncIterator[Client]:
    """A client with an account."""
    async with connected(pebble, account, on_request=on_request) as client:
        await client.register(terms_of_service_agreed=True, external_account_binding=binding)
        yield client


def provider_of(bind: Bind) -> Rfc2136Provider:
    """Changes the bed's zones."""
    name, key = bind.main_key
    return Rfc2136Provider(bind.address, tsig=TsigKey(name, key.secret, key.algorithm))


def view_of(bind: Bind) -> DnsView:
    """Looks at the bed's zones; BIND is authoritative for them and resolves nothing else."""
    return DnsView(resolvers=[bind.address], authoritative=[bind.address])


def add_cname(bind: Bind, zone: str, name: str, target: str) -> None:
    """Add an alias as the zone's owner would."""
    key_name, key = bind.main_key
    update = dns.update.UpdateMessage(zone, keyring=dns.tsig.Key(key_name, key.secret, key.algorithm))
    update.add(f"{name}.", 1, "CNAME", f"{target}.")
    host, _, port = bind.address.rpartition(":")
    answer = dns.query.tcp(update, host, port=int(port), timeout=5)
    assert answer.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(answer.rcode())
