"""One account at a CA, from registration to certificate."""

from __future__ import annotations

from certwright.acme.certificate import CertificateClient
from certwright.acme.order import OrderClient


class Client(OrderClient, CertificateClient):
    """One account at one CA: the account itself, its orders, authorizations and certificates."""
