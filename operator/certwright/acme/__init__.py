"""An ACME client (RFC 8555): certificates from Let's Encrypt and any other ACME CA.

This is the protocol; `certwright.client` issues a certificate in one call. `Client` is one account at one CA. Below it,
`AcmeServer` handles the directory, nonces and signed requests, and a `Transport` sends them. Everything is
asynchronous and bounded in bytes, retries and time.

    key = AccountKey.generate()  # keep key.to_pem(): it is the account
    async with HttpxTransport() as transport:
        server = AcmeServer("https://acme-staging-v02.api.letsencrypt.org/directory", transport)
        client = Client(server, key)
        await client.register(contact=["mailto:ops@example.com"], terms_of_service_agreed=True)
        order = await client.new_order([Identifier.dns("example.com"), Identifier.dns("*.example.com")])
        for authorization in await client.fetch_authorizations(order):
            challenge = authorization.challenge("dns-01")
            if authorization.status == "pending" and challenge is not None and challenge.token is not None:
                await publish_txt(authorization.identifier.value, client.dns01_value(challenge.token))  # yours
                await client.answer_challenge(challenge)
        order = await client.poll_order(order, until={"ready"})
        order = await client.poll_order(await client.finalize(order, csr_der), until={"valid"})
        chain = await client.download_certificate(order)

Every error is an `AcmeError`: a `TransportError` if there was no response, a `ProblemError` if the server refused and
said why, a `MalformedResponse` if the response is not ACME, an `OrderFailed` that says which domains failed.

Pure functions compute the rest: the response to each type of challenge (`dns01_value`,
`dns_account01_name`, `dns_persist01_value`, `validation_certificate`), when to renew (`RenewalPlan`), which chain to
use (`choose_chain`), and a `Budget` for the rate limits of a CA.

The package does not create certificate keys or CSRs, does not present challenge responses, does not check whether a
chain matches a key or leads to a trusted root, and stores nothing. `certwright.client` does the first three, and checks
that the chain matches.
"""

from certwright.acme.account import Account, AccountClient, AccountStatus, HeldKey, probe_keys
from certwright.acme.account_credentials import AccountCredentials
from certwright.acme.authorization import (
    Authorization,
    AuthorizationClient,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
)
from certwright.acme.budget import Budget, BudgetExhausted, OrderPurpose, Reservation
from certwright.acme.certificate import (
    CertificateChainPem,
    CertificateClient,
    RevocationReason,
    choose_chain,
    issuer_names,
    leads_to,
    revoke_with_certificate_key,
)
from certwright.acme.challenge import (
    ACME_TLS_1,
    ValidationCertificate,
    account_label,
    dns01_name,
    dns01_value,
    dns_account01_name,
    http01_path,
    http01_url,
    key_authorization,
    tls_alpn01_server_name,
    validation_certificate,
)
from certwright.acme.client import Client
from certwright.acme.clock import Clock
from certwright.acme.directory import Directory, DirectoryMeta
from certwright.acme.dns_persist01 import (
    account_uri,
    dns_persist01_name,
    dns_persist01_value,
    hashed_account_uri,
    persistent_record_allows,
)
from certwright.acme.errors import (
    AccountKeyInUse,
    AcmeError,
    AddressRefused,
    CertificateNotNamed,
    ConnectionFailed,
    DeactivationUnconfirmed,
    InvalidAccountKey,
    InvalidCertificate,
    InvalidCredentials,
    InvalidExternalAccountKey,
    InvalidIdentifier,
    InvalidProxy,
    InvalidTrustBundle,
    MalformedResponse,
    NoSuchChain,
    NotOffered,
    NotRegistered,
    PollTimedOut,
    RedirectRefused,
    ResponseTooLarge,
    RolloverUnconfirmed,
    ServerResponseError,
    ServiceUnavailable,
    TimedOut,
    TransportError,
    UnsafeUrl,
    UnsupportedChallenge,
    UntrustedServer,
)
from certwright.acme.external_account import ExternalAccountBinding, MacAlgorithm
from certwright.acme.identifier import Identifier
from certwright.acme.key import AccountKey, AccountKeyAlgorithm, SigningKey, sign_request
from certwright.acme.limits import LETS_ENCRYPT, LETS_ENCRYPT_STAGING, NO_LIMITS, Limit, LimitProfile, limits_of
from certwright.acme.nonce import NoncePool, replay_nonce
from certwright.acme.order import Order, OrderFailed, OrderStatus
from certwright.acme.polling import Pace
from certwright.acme.presets import KNOWN_AUTHORITIES, KnownAuthority, directory_url
from certwright.acme.problem import (
    AccountDoesNotExist,
    AlreadyReplaced,
    AlreadyRevoked,
    BadCsr,
    BadNonce,
    BadPublicKey,
    BadRevocationReason,
    BadSignatureAlgorithm,
    CaaForbids,
    ExternalAccountRequired,
    InvalidContact,
    InvalidProfile,
    OrderNotReady,
    Problem,
    ProblemError,
    RateLimited,
    RejectedIdentifier,
    ServerInternal,
    Subproblem,
    Unauthorized,
    UnsupportedIdentifier,
    UserActionRequired,
)
from certwright.acme.registered_domain import registered_domain
from certwright.acme.renewal_info import (
    RenewalInfo,
    RenewalPlan,
    certificate_identifier,
    fetch_renewal_info,
    poll_interval,
    renewal_by_lifetime,
    still_to_be_asked,
)
from certwright.acme.server import AcmeServer, RequestRecord
from certwright.acme.transport import HttpxTransport
from certwright.http.message import Headers, Response, Transport
from certwright.http.transport import Timeouts
from certwright.http.trust import ClientCertificate

__all__ = [
    "ACME_TLS_1",
    "KNOWN_AUTHORITIES",
    "LETS_ENCRYPT",
    "LETS_ENCRYPT_STAGING",
    "NO_LIMITS",
    "Account",
    "AccountClient",
    "AccountCredentials",
    "AccountDoesNotExist",
    "AccountKey",
    "AccountKeyAlgorithm",
    "AccountKeyInUse",
    "AccountStatus",
    "AcmeError",
    "AcmeServer",
    "AddressRefused",
    "AlreadyReplaced",
    "AlreadyRevoked",
    "Authorization",
    "AuthorizationClient",
    "AuthorizationStatus",
    "BadCsr",
    "BadNonce",
    "BadPublicKey",
    "BadRevocationReason",
    "BadSignatureAlgorithm",
    "Budget",
    "BudgetExhausted",
    "CaaForbids",
    "CertificateChainPem",
    "CertificateClient",
    "CertificateNotNamed",
    "Challenge",
    "ChallengeStatus",
    "Client",
    "ClientCertificate",
    "Clock",
    "ConnectionFailed",
    "DeactivationUnconfirmed",
    "Directory",
    "DirectoryMeta",
    "ExternalAccountBinding",
    "ExternalAccountRequired",
    "Headers",
    "HeldKey",
    "HttpxTransport",
    "Identifier",
    "InvalidAccountKey",
    "InvalidCertificate",
    "InvalidContact",
    "InvalidCredentials",
    "InvalidExternalAccountKey",
    "InvalidIdentifier",
    "InvalidProfile",
    "InvalidProxy",
    "InvalidTrustBundle",
    "KnownAuthority",
    "Limit",
    "LimitProfile",
    "MacAlgorithm",
    "MalformedResponse",
    "NoSuchChain",
    "NoncePool",
    "NotOffered",
    "NotRegistered",
    "Order",
    "OrderFailed",
    "OrderNotReady",
    "OrderPurpose",
    "OrderStatus",
    "Pace",
    "PollTimedOut",
    "Problem",
    "ProblemError",
    "RateLimited",
    "RedirectRefused",
    "RejectedIdentifier",
    "RenewalInfo",
    "RenewalPlan",
    "RequestRecord",
    "Reservation",
    "Response",
    "ResponseTooLarge",
    "RevocationReason",
    "RolloverUnconfirmed",
    "ServerInternal",
    "ServerResponseError",
    "ServiceUnavailable",
    "SigningKey",
    "Subproblem",
    "TimedOut",
    "Timeouts",
    "Transport",
    "TransportError",
    "Unauthorized",
    "UnsafeUrl",
    "UnsupportedChallenge",
    "UnsupportedIdentifier",
    "UntrustedServer",
    "UserActionRequired",
    "ValidationCertificate",
    "account_label",
    "account_uri",
    "certificate_identifier",
    "choose_chain",
    "directory_url",
    "dns01_name",
    "dns01_value",
    "dns_account01_name",
    "dns_persist01_name",
    "dns_persist01_value",
    "fetch_renewal_info",
    "hashed_account_uri",
    "http01_path",
    "http01_url",
    "issuer_names",
    "key_authorization",
    "leads_to",
    "limits_of",
    "persistent_record_allows",
    "poll_interval",
    "probe_keys",
    "registered_domain",
    "renewal_by_lifetime",
    "replay_nonce",
    "revoke_with_certificate_key",
    "sign_request",
    "still_to_be_asked",
    "tls_alpn01_server_name",
    "validation_certificate",
]
