"""The self-check of tls-alpn-01: a real handshake through the route, as the CA opens it (RFC 8737 section 3)."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import ssl
from typing import TYPE_CHECKING, Final

from cryptography import x509

from certwright.acme import ACME_TLS_1, tls_alpn01_server_name
from certwright.acme.challenge import ACME_IDENTIFIER
from certwright.challenges.tls_handshake import READ_BYTES, shake_hands
from certwright.challenges.tls_responder import identifier_of
from certwright.http01.addresses import Addresses
from certwright.http01.self_check import LOOKS, MAX_CONCURRENT, NO_ROUTE, SECONDS, HttpSighting
from certwright.names import is_address
from certwright.runtime.turns import TENANT
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.challenges.response import FileResponse
    from certwright.http.addresses import AddressPolicy

OTHER_CHALLENGE: Final = "a validation certificate for another challenge"
_UNREADABLE: Final = (
    ValueError,
    x509.InvalidVersion,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
MAX_CERTIFICATE_BYTES: Final = 16 * 1024
"""A validation certificate has less than one KiB."""


class TlsSelfCheck:
    """Opens handshakes with the protocol acme-tls/1, and looks at the certificate that is presented.

    Args:
        port: 443 for every CA but those for tests.
        nameservers: Recursive DNS servers to look names up at; empty for the system's.
        every_address: Whether all addresses of a host are asked, or until one answers as expected.
        addresses: Which addresses may be connected to.

    Raises:
        InvalidServer: A nameserver is none.
    """

    def __init__(self, *, port: int, nameservers: Sequence[str], every_address: bool, addresses: AddressPolicy) -> None:
        self._port = port
        self._every_address = every_address
        self._policy = addresses
        self._resolver = Addresses(nameservers, addresses)

    async def look(self, wanted: Sequence[FileResponse]) -> list[HttpSighting]:
        """Open a handshake for every name at each address, a few at a time; never an error."""
        places = asyncio.Semaphore(MAX_CONCURRENT)

        async def one(response: FileResponse) -> HttpSighting:
            async with places, LOOKS.place(TENANT.get()):
                return await self._look(response)

        return await asyncio.gather(*map(one, wanted))

    async def _look(self, response: FileResponse) -> HttpSighting:
        try:
            async with asyncio.timeout(SECONDS):
                addresses = await self._addresses(response.host)
        except TimeoutError:
            return HttpSighting(response, complete=False, seen=f"the DNS did not resolve {response.host} in time")
        except OSError as error:
            return HttpSighting(response, complete=False, seen=error.strerror or "no address in the DNS")
        right, unroutable, wrong = [], [], []
        # At the same time: a hundred names with dead addresses must not take minutes.
        problems = await asyncio.gather(*(self._problem(response, address) for address in addresses))
        for address, problem in zip(addresses, problems, strict=True):
            if problem is None:
                unroutable.append(f"{response.host} at {address}")
            elif problem:
                wrong.append(f"{problem} at {address}")
            else:
                right.append(address)
        if right and not self._every_address:
            wrong = []
        complete = bool(right) and not wrong
        seen = "the validation certificate" if complete else listed(wrong) or "no address can be reached from here"
        if wrong and right:
            seen += f", while {' and '.join(right)} answered as expected: a CA may ask any of them"
        remark = f"there is no route from here to {listed(unroutable)}, where the CA may connect" if unroutable else ""
        return HttpSighting(response, complete=complete, seen=seen, remark=remark)

    async def _addresses(self, host: str) -> list[str]:
        if is_address(host):
            if (objection := self._policy.objection(host)) is not None:
                raise OSError(None, f"{host}: {objection}")
            return [host]
        return list(dict.fromkeys(one["host"] for one in await self._resolver.resolve(host, self._port)))

    async def _problem(self, response: FileResponse, address: str) -> str | None:
        """Return what is wrong at an address, an empty text for nothing; None if there is no route to it."""
        try:
            async with asyncio.timeout(SECONDS):
                tls = await self._handshake(address, tls_alpn01_server_name(identifier_of(response.host)))
        except TimeoutError:
            return f"no handshake within {SECONDS:g} s"
        except ssl.SSLError as error:
            return f"no TLS handshake ({(error.reason or 'no reason given').lower().replace('_', ' ')})"
        except OSError as error:
            if error.errno in NO_ROUTE:
                return None
            if isinstance(error, ConnectionRefusedError):
                return "the connection was refused"
            # With and without an alert: who does not know a name may end the connection (RFC 6066 section 3).
            closed = isinstance(error, ConnectionError)
            return "no TLS handshake (the connection was closed)" if closed else "no connection"
        return objection_to(response, tls.selected_alpn_protocol(), tls.getpeercert(binary_form=True) or b"")

    async def _handshake(self, address: str, server_name: str) -> ssl.SSLObject:
        reader, writer = await asyncio.open_connection(address, self._port, limit=READ_BYTES)
        try:
            return await shake_hands(reader, writer, _context(), asked_for=server_name)
        finally:
            writer.transport.abort()


def objection_to(response: FileResponse, protocol: str | None, certificate: bytes) -> str:
    """Say what is wrong with what a server has presented; an empty text for nothing.

    Args:
        response: What it is to present.
        protocol: What was negotiated by ALPN.
        certificate: Its certificate in DER, of whoever answers there.
    """
    if protocol != ACME_TLS_1:
        return "a server that does not speak acme-tls/1"
    if len(certificate) > MAX_CERTIFICATE_BYTES:
        return "a certificate that is far too large"
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        shown = parsed.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    except _UNREADABLE:
        return "another certificate than one for a validation"
    digest = hashlib.sha256(response.key_authorization.encode("ascii")).digest()
    content = shown.value.value if isinstance(shown.value, x509.UnrecognizedExtension) else b""
    if list(names) != [_general_name(response.host)] or not shown.critical:
        return "a validation certificate for another name"
    return "" if content == b"\x04\x20" + digest else OTHER_CHALLENGE


def _general_name(host: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(host)) if is_address(host) else x509.DNSName(host)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([ACME_TLS_1])
    return context
