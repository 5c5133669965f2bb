"""A certificate in one call: `certwright.acme` plus keys, CSRs, solvers and checks.

    async with connect("letsencrypt-staging", account=saved) as client:
        certificate = await issue(client, ["example.com", "*.example.com"], solvers=[Dns01(provider, DnsView())])
        Path("fullchain.pem").write_bytes(certificate.chain_pem)

`issue` places an order, validates all domains together, generates the key and the CSR in the meantime, and checks the
certificate before it returns it. `renew` does the same for the domains of an existing certificate, and tells the CA
which certificate it replaces. Progress is reported as typed events. After an error, a timeout or a cancellation, the
challenge responses are removed before the exception is raised. `certwright.client.sync` offers the same functions to
programs without asyncio.

Solvers answer the challenges: with a server of their own (`Http01Server`, `TlsAlpn01Server`), files in a web server's
folder (`Webroot`), DNS records (`Dns01`, `DnsAccount01`, `DnsPersist01`), or by hand (`Manual`). You can also write
your own `Solver`. `SelfChecked` checks http-01 responses before the CA does.

This package stores nothing, installs no certificates in servers, and does not run in the background. Store
`AccountCredentials.of(client)` and the result of `issue`, and use `RenewalPlan.follow` to find out when to renew.
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
