"""Certificate chains that are not what was asked for."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .answers import with_body
from .fault import MARKER, changing

if TYPE_CHECKING:
    from testbed.exchanges import Response

    from .fault import Exchange

_END = b"-----END CERTIFICATE-----\n"


def _leaf(exchange: Exchange) -> x509.Certificate:
    return x509.load_pem_x509_certificate(exchange.answer.body)


def _blocks(exchange: Exchange) -> list[bytes]:
    return [block + _END for block in exchange.answer.body.split(_END) if block.strip()]


@changing("certificate")
def truncated_pem(exchange: Exchange) -> Response:
    """The chain is truncated inside a certificate, with a matching Content-Length."""
    return with_body(exchange.answer, exchange.answer.body[:-100])


@changing("certificate")
def empty_chain(exchange: Exchange) -> Response:
    """The chain is empty."""
    return with_body(exchange.answer, b"")


@changing("certificate")
def text_in_chain(exchange: Exchange) -> Response:
    """The chain contains text outside PEM blocks."""
    return with_body(exchange.answer, exchange.answer.body + f"# {MARKER}\n".encode())


@changing("certificate")
def private_key_in_chain(exchange: Exchange) -> Response:
    """A private key follows the certificates."""
    return with_body(exchange.answer, exchange.answer.body + exchange.forger.private_key_pem())


@changing("certificate")
def garbage_certificate(exchange: Exchange) -> Response:
    """A block of the chain is valid base64 but not a certificate."""
    return with_body(exchange.answer, b"-----BEGIN CERTIFICATE-----\nbjNvbmU=\n" + _END + exchange.answer.body)


@changing("certificate")
def long_chain(exchange: Exchange) -> Response:
    """The chain has a hundred certificates."""
    leaf, *issuers = _blocks(exchange)
    return with_body(exchange.answer, leaf + issuers[0] * 99)


@changing("certificate")
def chain_out_of_order(exchange: Exchange) -> Response:
    """The issuer's certificate comes before the leaf."""
    return with_body(exchange.answer, b"".join(reversed(_blocks(exchange))))


@changing("certificate")
def chain_with_strangers(exchange: Exchange) -> Response:
    """The chain has duplicates, a certificate that does not belong to it, and `subject=` lines between its blocks."""
    stranger = exchange.forger.certificate.public_bytes(Encoding.PEM)
    blocks = [stranger, *reversed(_blocks(exchange)), *_blocks(exchange)]
    return with_body(exchange.answer, b"".join(f"subject=CN = {MARKER}\r\n".encode() + block for block in blocks))


@changing("certificate")
def foreign_issuer(exchange: Exchange) -> Response:
    """The certificate after the leaf is not its issuer."""
    stranger = exchange.forger.certificate.public_bytes(Encoding.PEM)
    return with_body(exchange.answer, _blocks(exchange)[0] + stranger)


@changing("certificate")
def leaf_for_another_key(exchange: Exchange) -> Response:
    """The leaf certifies a key other than the CSR's."""
    return with_body(exchange.answer, exchange.forger.chain(_leaf(exchange), other_key=True))


@changing("certificate")
def leaf_lacks_name(exchange: Exchange) -> Response:
    """The leaf has domains other than those requested."""
    return with_body(exchange.answer, exchange.forger.chain(_leaf(exchange), names=("other.example.test",)))


@changing("certificate")
def expired_leaf(exchange: Exchange) -> Response:
    """The leaf has expired."""
    forged = exchange.forger.chain(_leaf(exchange), begins=timedelta(days=-90), lasts=timedelta(days=89))
    return with_body(exchange.answer, forged)


@changing("certificate")
def leaf_of_tomorrow(exchange: Exchange) -> Response:
    """The leaf is not yet valid."""
    return with_body(exchange.answer, exchange.forger.chain(_leaf(exchange), begins=timedelta(days=1)))


@changing("certificate")
def leaf_of_a_clock_ahead(exchange: Exchange) -> Response:
    """The leaf becomes valid in 20 minutes."""
    return with_body(exchange.answer, exchange.forger.chain(_leaf(exchange), begins=timedelta(minutes=20)))
