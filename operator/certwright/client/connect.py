"""A client for a CA by name or URL, with its connections, ready to register or to use a saved account."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from certwright.acme import AccountCredentials, AccountKey, AcmeServer, Client, HttpxTransport, UnsafeUrl, directory_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from certwright.acme import ClientCertificate, RequestRecord, Timeouts, Transport


@asynccontextmanager
async def connect(
    ca: str | None = None,
    *,
    account: AccountCredentials | AccountKey | None = None,
    transport: Transport | None = None,
    ca_bundle: str | None = None,
    proxy: str | None = None,
    client_certificate: ClientCertificate | None = None,
    timeouts: Timeouts | None = None,
    http2: bool = False,
    trust_env: bool = True,
    on_request: Callable[[RequestRecord], None] | None = None,
) -> AsyncIterator[Client]:
    """Open a client, and close its connections at the end.

    Args:
        ca: A name such as `letsencrypt-staging` (see `KNOWN_AUTHORITIES`) or a directory URL; None for the CA that the
            credentials are for.
        account: Saved credentials; or a key alone, whose account `find_account` finds; or None for a new key, for
            `register`. Save `AccountCredentials.of(client)`.
        transport: Carries the requests, and is left open at the end; the arguments below are for the one made
            otherwise.
        ca_bundle: Certificates in PEM; only what they vouch for is trusted then. None: the public CAs.
        proxy: URL of a proxy for all requests.
        client_certificate: What to show to servers that ask for one.
        timeouts: How long one request may take.
        http2: Speak HTTP/2 with servers that offer it; see `HttpxTransport`.
        trust_env: Take proxies and trust anchors from the environment, from `HTTPS_PROXY` to `SSL_CERT_FILE`.
        on_request: Called after each HTTP exchange.

    Raises:
        UnsafeUrl: The CA is neither a known name nor an https URL, or none is given at all.
        InvalidTrustBundle: The bundle or the client certificate cannot be loaded.
        InvalidProxy: The proxy, given or from the environment, is none that can be used.
    """
    saved = account if isinstance(account, AccountCredentials) else None
    key = account if isinstance(account, AccountKey) else saved.key if saved else AccountKey.generate()
    if ca is None and saved is None:
        raise UnsafeUrl("No CA is given: use a name, a directory URL, or saved credentials")
    url = directory_url(ca) if ca is not None else saved.directory_url if saved else ""
    # An account belongs to the CA that made it: at another one only its key is of use.
    account_url = saved.account_url if saved and saved.directory_url == url else None
    carrier = transport or HttpxTransport(
        ca_bundle=ca_bundle,
        proxy=proxy,
        client_certificate=client_certificate,
        timeout=timeouts,
        http2=http2,
        trust_env=trust_env,
    )
    try:
        server = AcmeServer(url, carrier, on_request=on_request)
        yield Client(server, key, account_url=account_url)
    finally:
        if transport is None:
            await carrier.aclose()
