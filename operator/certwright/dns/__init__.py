"""DNS for ACME clients: which zone contains a name, what the public DNS has there, and how to change it.

`DnsView` queries, a `Provider` (one module each in `providers`) updates. Independent of ACME and Kubernetes.
"""

from certwright.dns.caa import CaaPolicy, CaaRecord, CaaSet, CaaVerdict, check_caa, find_caa, judge_caa
from certwright.dns.endpoint import Endpoint, Server
from certwright.dns.errors import (
    CnameLoop,
    CnameNotAllowed,
    DnsError,
    InvalidCredential,
    InvalidName,
    InvalidServer,
    InvalidTsigKey,
    MalformedAnswer,
    NameserverUnreachable,
    ProviderRefused,
    ProviderUnreachable,
    ResolutionFailed,
    TsigRejected,
    UpdateRefused,
    UpdatesFailed,
    ZoneNotFound,
)
from certwright.dns.propagation import Propagation, ServerView
from certwright.dns.provider import ChangeTracker, Provider
from certwright.dns.records import TxtRecord, normalise
from certwright.dns.tsig import TSIG_ALGORITHMS, TsigKey
from certwright.dns.view import DnsView
from certwright.dns.zone import Zone

__all__ = [
    "TSIG_ALGORITHMS",
    "CaaPolicy",
    "CaaRecord",
    "CaaSet",
    "CaaVerdict",
    "ChangeTracker",
    "CnameLoop",
    "CnameNotAllowed",
    "DnsError",
    "DnsView",
    "Endpoint",
    "InvalidCredential",
    "InvalidName",
    "InvalidServer",
    "InvalidTsigKey",
    "MalformedAnswer",
    "NameserverUnreachable",
    "Propagation",
    "Provider",
    "ProviderRefused",
    "ProviderUnreachable",
    "ResolutionFailed",
    "Server",
    "ServerView",
    "TsigKey",
    "TsigRejected",
    "TxtRecord",
    "UpdateRefused",
    "UpdatesFailed",
    "Zone",
    "ZoneNotFound",
    "check_caa",
    "find_caa",
    "judge_caa",
    "normalise",
]
