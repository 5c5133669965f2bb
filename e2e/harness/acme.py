"""The ACME library against the bed: an account at a Pebble, and the bed's DNS as the library sees it."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from certwright.acme import HttpxTransport
from certwright.client import connect
from certwright.dns import DnsView, TsigKey
from certwright.dns.providers.rfc2136 import Rfc2136Provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from certwright.acme import AccountCredentials, AccountKey, Client, ExternalAccountBinding, RequestRecord
    from testbed.exchanges import Request
    from testbed.parts.bind import Bind
    from testbed.parts.name_server import NameServer
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


def view_of(server: NameServer) -> DnsView:
    """Looks at the zones of one of the bed's name servers, which resolves nothing else."""
    return DnsView(resolvers=[server.address], authoritative=[server.address])


def account_of(request: Request) -> str | None:
    """Return the URL of the account that signed a request to a CA; None if no account did."""
    if request.method != "POST":
        return None
    protected = json.loads(request.body)["protected"]
    kid: str | None = json.loads(urlsafe_b64decode(protected + "=" * (-len(protected) % 4))).get("kid")
    return kid
