"""Open a client for a CA, given by name or URL, with a new or a saved account."""

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
    """Open a client, and close its connections at the end of the block.

    Args:
        ca: A name such as `letsencrypt-staging` (see `KNOWN_AUTHORITIES`) or a directory URL; None for the CA that the
            credentials are for.
        account: Saved credentials; or only a key, for which `find_account` finds the account; or None to generate a
            key for `register`. Save `AccountCredentials.of(client)`.
        transport: An existing transport, which stays open at the end. If None, one is created from the arguments
            below.
        ca_bundle: Certificates in PEM to trust instead of the public CAs.
        proxy: URL of a proxy for all requests.
        client_certificate: A certificate for servers that ask clients for one.
        timeouts: How long one request may take.
        http2: Use HTTP/2 with servers that offer it; see `HttpxTransport`.
        trust_env: Take proxies and trust anchors from the environment, such as `HTTPS_PROXY` and `SSL_CERT_FILE`.
        on_request: Called after each HTTP exchange.

    Raises:
        UnsafeUrl: The CA is neither a known name nor an https URL, or no CA is given.
        InvalidTrustBundle: The bundle or the client certificate cannot be loaded.
        InvalidProxy: The proxy, given or from the environment, cannot be used.
    """
    saved = account if isinstance(account, AccountCredentials) else None
    key = account if isinstance(account, AccountKey) else saved.key if saved else AccountKey.generate()
    if ca is None and saved is None:
        raise UnsafeUrl("No CA is given: use a name, a directory URL, or saved credentials")
    url = directory_url(ca) if ca is not None else saved.directory_url if saved else ""
    # An account belongs to its CA; at another CA, only its key can be used.
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
