"""A certificate in one call: `certwright.acme` with keys, requests, solvers and checks around it.

    async with connect("letsencrypt-staging", account=saved) as client:
        certificate = await issue(client, ["example.com", "*.example.com"], solvers=[Dns01(provider, DnsView())])
        Path("fullchain.pem").write_bytes(certificate.chain_pem)

`issue` orders, validates all domains together, makes key and request meanwhile, and checks the result before it
returns it.
`renew` does so for the domains of a certificate, and tells the CA what it renews. Progress is reported as typed events;
an error, a time-out or a cancellation cleans up first. `certwright.client.sync` has the same for programs without
asyncio.

Solvers answer the challenges: two servers (`Http01Server`, `TlsAlpn01Server`), the folder of a web server
(`Webroot`), DNS records (`Dns01`, `DnsAccount01`, `DnsPersist01`), a person (`Manual`), or your own `Solver`.
`SelfChecked` checks the answers to http-01 before the CA does.

What it does not do: it stores nothing, installs no certificate in any server, and does not run by itself. Keep
`AccountCredentials.of(client)` and what `issue` returns, and ask `RenewalPlan.follow` when to come back.
"""

from certwright.challenges.dns01 import Dns01, DnsAccount01
from certwright.challenges.dns_persist01 import DnsPersist01
from certwright.challenges.errors import CannotListen, CannotWrite, NotVisible, PersistentRecordMissing
from certwright.challenges.http01_server import Http01Server
from certwright.challenges.manual import Instruction, Manual
from certwright.challenges.proof import Proof
from certwright.challenges.self_check import SelfChecked, SelfTest, self_test
from certwright.challenges.solver import Solver, Solvers
from certwright.challenges.tls_alpn01_server import TlsAlpn01Server
from certwright.challenges.webroot import Webroot
from certwright.client.certificate import IssuedCertificate, leaf_der
from certwright.client.connect import connect
from certwright.client.discover import Offer, discover
from certwright.client.errors import (
    CertificateStartsLater,
    InvalidPrivateKey,
    IssuanceTimedOut,
    KeyReused,
    NoSolver,
    PreferredChainMissing,
    SolverFailed,
    UnusableCertificate,
)
from certwright.client.events import (
    AuthorizationReused,
    BudgetWaited,
    CaaObjected,
    CleanedUp,
    CleanUpFailed,
    Event,
    Issued,
    OnEvent,
    OrderNotResumed,
    OrderPlaced,
    OrderReady,
    OrderResumed,
    Presented,
    Presenting,
    RenewalInfoUnavailable,
    ReplacementRefused,
    StartAwaited,
    Validating,
)
from certwright.client.issue import issue, renew
from certwright.client.key import CertificateKey, KeySpec
from certwright.client.pending import InvalidPendingCertificate, PendingCertificate
from certwright.client.revoke import revoke

__all__ = [
    "AuthorizationReused",
    "BudgetWaited",
    "CaaObjected",
    "CannotListen",
    "CannotWrite",
    "CertificateKey",
    "CertificateStartsLater",
    "CleanUpFailed",
    "CleanedUp",
    "Dns01",
    "DnsAccount01",
    "DnsPersist01",
    "Event",
    "Http01Server",
    "Instruction",
    "InvalidPendingCertificate",
    "InvalidPrivateKey",
    "IssuanceTimedOut",
    "Issued",
    "IssuedCertificate",
    "KeyReused",
    "KeySpec",
    "Manual",
    "NoSolver",
    "NotVisible",
    "Offer",
    "OnEvent",
    "OrderNotResumed",
    "OrderPlaced",
    "OrderReady",
    "OrderResumed",
    "PendingCertificate",
    "PersistentRecordMissing",
    "PreferredChainMissing",
    "Presented",
    "Presenting",
    "Proof",
    "RenewalInfoUnavailable",
    "ReplacementRefused",
    "SelfChecked",
    "SelfTest",
    "Solver",
    "SolverFailed",
    "Solvers",
    "StartAwaited",
    "TlsAlpn01Server",
    "UnusableCertificate",
    "Validating",
    "Webroot",
    "connect",
    "discover",
    "issue",
    "leaf_der",
    "renew",
    "revoke",
    "self_test",
]
