"""Solvers that need nothing but this package: two servers, a folder, DNS records, and a person."""

from certwright.challenges.dns01 import Dns01, DnsAccount01
from certwright.challenges.dns_persist01 import DnsPersist01
from certwright.challenges.http01_server import Http01Server
from certwright.challenges.manual import Instruction, Manual
from certwright.challenges.self_check import SelfChecked
from certwright.challenges.tls_alpn01_server import TlsAlpn01Server
from certwright.challenges.webroot import Webroot

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
