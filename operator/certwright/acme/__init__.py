"""An ACME client: certificates from Let's Encrypt and every other CA that speaks RFC 8555.

The porcelain is `Client`, one account at one CA. Below it `AcmeServer` knows the directory, the nonces and how to send
signed requests, and a `Transport` carries them. All of it is asynchronous and bounded: bytes, tries and time.

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

Everything that goes wrong is an `AcmeError`: a `TransportError` when no answer came, a `ProblemError` when the server
refused and said why, a `MalformedResponse` when something else than an ACME server answered, an `OrderFailed` that
says which names failed.

What it does not do: it makes no certificate keys and no CSRs, does not check that a chain fits a key or leads to a
trusted root, publishes no challenge, stores nothing, and never decides when to renew. Not in it yet: revocation, key
rollover, lists of orders, pre-authorization and renewal information.
"""

from certwright.acme.account import Account, AccountStatus
from certwright.acme.authorization import Authorization, AuthorizationStatus
from certwright.acme.certificate import CertificateChainPem
from certwright.acme.challenge import Challenge, ChallengeStatus
from certwright.acme.client import Client
from certwright.acme.clock import Clock
from certwright.acme.directory import Directory, DirectoryMeta
from certwright.acme.errors import (
    AcmeError,
    ConnectionFailed,
    InvalidAccountKey,
    InvalidExternalAccountKey,
    InvalidTrustBundle,
    MalformedResponse,
    NotRegistered,
    PollTimedOut,
    RedirectRefused,
    ResponseTooLarge,
    ServerResponseError,
    ServiceUnavailable,
    TimedOut,
    TransportError,
    UnsafeUrl,
    UntrustedServer,
)
from certwright.acme.external_account import ExternalAccountBinding, MacAlgorithm
from certwright.acme.identifier import Identifier
from certwright.acme.key import AccountKey, AccountKeyAlgorithm
from certwright.acme.message import Headers, Response, Transport
from certwright.acme.order import Order, OrderFailed, OrderStatus
from certwright.acme.problem import Problem, Subproblem
from certwright.acme.problem_error import (
    AccountDoesNotExist,
    AlreadyReplaced,
    AlreadyRevoked,
    BadCsr,
    BadNonce,
    BadPublicKey,
    BadSignatureAlgorithm,
    CaaForbids,
    ExternalAccountRequired,
    InvalidContact,
    InvalidProfile,
    OrderNotReady,
    ProblemError,
    RateLimited,
    RejectedIdentifier,
    ServerInternal,
    Unauthorized,
    UnsupportedIdentifier,
    UserActionRequired,
)
from certwright.acme.server import AcmeServer, RequestRecord
from certwright.acme.transport import HttpxTransport, Timeouts
from certwright.acme.trust import ClientCertificate

__all__ = [
    "Account",
    "AccountDoesNotExist",
    "AccountKey",
    "AccountKeyAlgorithm",
    "AccountStatus",
    "AcmeError",
    "AcmeServer",
    "AlreadyReplaced",
    "AlreadyRevoked",
    "Authorization",
    "AuthorizationStatus",
    "BadCsr",
    "BadNonce",
    "BadPublicKey",
    "BadSignatureAlgorithm",
    "CaaForbids",
    "CertificateChainPem",
    "Challenge",
    "ChallengeStatus",
    "Client",
    "ClientCertificate",
    "Clock",
    "ConnectionFailed",
    "Directory",
    "DirectoryMeta",
    "ExternalAccountBinding",
    "ExternalAccountRequired",
    "Headers",
    "HttpxTransport",
    "Identifier",
    "InvalidAccountKey",
    "InvalidContact",
    "InvalidExternalAccountKey",
    "InvalidProfile",
    "InvalidTrustBundle",
    "MacAlgorithm",
    "MalformedResponse",
    "NotRegistered",
    "Order",
    "OrderFailed",
    "OrderNotReady",
    "OrderStatus",
    "PollTimedOut",
    "Problem",
    "ProblemError",
    "RateLimited",
    "RedirectRefused",
    "RejectedIdentifier",
    "RequestRecord",
    "Response",
    "ResponseTooLarge",
    "ServerInternal",
    "ServerResponseError",
    "ServiceUnavailable",
    "Subproblem",
    "TimedOut",
    "Timeouts",
    "Transport",
    "TransportError",
    "Unauthorized",
    "UnsafeUrl",
    "UnsupportedIdentifier",
    "UntrustedServer",
    "UserActionRequired",
]
