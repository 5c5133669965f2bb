"""How an issuer connects to its CA, from its spec and the Secrets named there."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from certwright.acme import Timeouts
from certwright.failures import IssuanceError
from certwright.http.errors import InvalidTrustBundle
from certwright.http.trust import ClientCertificatePem
from certwright.issuers.authorities import Authority
from certwright.runtime.labour import in_thread

if TYPE_CHECKING:
    from certwright.issuers.credentials import SecretReader
    from certwright.resources import AcmeIssuerSpec, CaProxy, CaTimeouts, TlsSecretRef


async def authority_of(spec: AcmeIssuerSpec, secrets: SecretReader) -> Authority:
    """Return the connection that an issuer's spec asks for.

    Raises:
        IssuanceError: A Secret is missing or lacks an entry, or the client certificate cannot be used.
        KubeError: A Secret cannot be read.
    """
    reference = spec.client_certificate_secret_ref
    return Authority(
        server=spec.server,
        ca_bundle_pem=spec.ca_bundle_pem,
        skip_tls_verify=spec.skip_tls_verify,
        client_certificate=None if reference is None else await _client_certificate(reference, secrets),
        proxy=None if spec.proxy is None else await _proxy(spec.proxy, secrets),
        timeouts=Timeouts() if spec.timeouts is None else _timeouts(spec.timeouts),
    )


async def _client_certificate(reference: TlsSecretRef, secrets: SecretReader) -> ClientCertificatePem:
    where = "spec.acme.clientCertificateSecretRef"
    found = ClientCertificatePem(
        await secrets.entry(reference.name, "tls.crt", where=where, what="client certificate"),
        await secrets.entry(reference.name, "tls.key", where=where, what="private key of the client certificate"),
    )
    try:
        await in_thread(found.load_into, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except InvalidTrustBundle as error:
        raise IssuanceError(
            "ClientCertificateUnusable",
            f"Secret {secrets.namespace}/{reference.name}, which {where} names, cannot be used: {error}. Put a "
            "certificate in PEM into tls.crt and its private key into tls.key.",
        ) from None
    return found


async def _proxy(proxy: CaProxy, secrets: SecretReader) -> str:
    """Return the URL of a proxy with its credentials, which no message may show."""
    if proxy.credentials_secret_ref is None:
        return proxy.url
    name, where = proxy.credentials_secret_ref.name, "spec.acme.proxy.credentialsSecretRef"
    place = f"Secret {secrets.namespace}"
    user, password = [
        _line(await secrets.entry(name, entry, where=where, what=f"{what} for the proxy"), f"{place}/{name}", entry)
        for entry, what in (("username", "user name"), ("password", "password"))
    ]
    parts = urlsplit(proxy.url)
    return f"{parts.scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"


def _line(content: bytes, secret: str, entry: str) -> str:
    """Return a user name or password; a line end at its end does not count.

    Raises:
        IssuanceError: It is no line of text. Sent as it is, it would be refused as a wrong one.
    """
    try:
        text = content.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if text and all(character >= " " for character in text):
        return text
    raise IssuanceError(
        "CredentialsMissing",
        f"The entry {entry} of {secret} is not one line of text in UTF-8. Put the {entry} for the proxy there.",
    )


def _timeouts(timeouts: CaTimeouts) -> Timeouts:
    return Timeouts(
        connect=timeouts.connect.total_seconds(),
        read=timeouts.read.total_seconds(),
        total=timeouts.total.total_seconds(),
    )
