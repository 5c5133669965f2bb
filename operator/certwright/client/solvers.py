"""Solvers that need nothing but this package: two servers, a folder, DNS records, and a person."""

from certwright.client.solvers.dns_persist01 import DnsPersist01
from certwright.client.solvers.dns_records import Dns01, DnsAccount01
from certwright.client.solvers.http01_server import Http01Server
from certwright.client.solvers.manual import Instruction, Manual
from certwright.client.solvers.self_check import SelfChecked
from certwright.client.solvers.tls_alpn01_server import TlsAlpn01Server
from certwright.client.solvers.webroot import Webroot

__all__ = [
    "Dns01",
    "DnsAccount01",
    "DnsPersist01",
    "Http01Server",
    "Instruction",
    "Manual",
    "SelfChecked",
    "TlsAlpn01Server",
    "Webroot",
]
