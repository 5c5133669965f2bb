"""The reasons of conditions and Events: one word each, CamelCase, as users read them in `kubectl describe`.

To add one, name it here, in its group, and give it a row in the table of that group in docs/operating.md ("Reasons").
mypy refuses a reason that is not here, and tests/docs/test_operating.py one without a row, or a row without a reason.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

NormalReason = Literal[
    "Ready",
    "NothingToDo",
    "Renewing",
    "Presenting",
    "WaitingForDNS",
    "WaitingForHTTP",
    "WaitingForTLS",
    "Validating",
    "GeneratingKey",
    "Finalizing",
    "WaitingForStart",
    "Resuming",
    "Issuing",
    "Issued",
    "Adopted",
    "OutputsWritten",
    "TemporaryWritten",
    "SecretRestored",
    "RolledBack",
    "RenewalSuggested",
    "Rehearsing",
    "RehearsalSucceeded",
    "AccountRegistered",
    "AccountKeyRotated",
    "AccountDeactivated",
    "IssuerAvailable",
    "RequestBegun",
    "RequestSucceeded",
    "Paused",
    "Resumed",
]
NeedReason = Literal[
    "DoesNotExist",
    "Unusable",
    "NamesChanged",
    "ContentsChanged",
    "PrivateKeyChanged",
    "IssuerChanged",
    "NotFromIssuer",
    "Revoked",
    "ToBeRevoked",
    "Renewal",
    "Rehearsal",
    "Expired",
    "Requested",
]
SpecReason = Literal[
    "SecretNotOurs",
    "SecretClaimed",
    "ClaimedByCertManager",
    "SecretImmutable",
    "SecretChanged",
    "SecretNotWritten",
    "SecretContested",
    "OrderedTooOften",
    "StaleEntries",
    "KeystorePasswordMissing",
    "KeystorePasswordUnusable",
    "SecretTooLarge",
    "PrivateKeyMismatch",
    "InvalidSpec",
    "NotAsAsked",
    "RevocationFailed",
    "RevocationRefused",
    "NotRevoked",
    "RenewBeforeTooLong",
    "RenewalDisabled",
    "RehearsalFailed",
    "ContentsNotSupported",
    "ContentsIgnored",
    "RequestRefused",
    "RequestFailed",
    "RequestRepeated",
    "RenewalPaused",
]
IssuerReason = Literal[
    "IssuerNotFound",
    "IssuerNotReady",
    "IssuerUnavailable",
    "FallingBack",
    "NamesNotAllowed",
    "NoSolver",
    "SolverChanged",
    "WildcardNeedsDNS01",
    "AddressNeedsHTTP01",
    "CredentialsMissing",
    "AccountKeyMissing",
    "AccountKeyUnusable",
    "AccountNotValid",
    "InvalidProfile",
    "InvalidContact",
    "AccountNotFound",
    "AccountKeyReplaced",
    "KeyRotationRefused",
    "KeyRotationFailed",
    "KeyRotationWaiting",
    "AccountNotDeactivated",
    "ExternalAccountRequired",
    "ExternalAccountKeyUnusable",
    "ExternalAccountRefused",
    "UserActionRequired",
    "TermsNotAccepted",
    "TermsChanged",
    "ClientCertificateUnusable",
]
DnsReason = Literal[
    "DNSServerUnreachable",
    "DNSServerRefused",
    "DNSProviderUnreachable",
    "DNSProviderRefused",
    "InvalidCredential",
    "DNSLookupFailed",
    "DNSUpdateRefused",
    "DNSUpdateFailed",
    "TSIGRejected",
    "InvalidTSIGKey",
    "ZoneNotFound",
    "CNAMELoop",
    "CNAMENotAllowed",
    "InvalidName",
    "RecordNotVisible",
    "PersistentRecordMissing",
    "PersistentRecordsChanged",
    "PersistentRecordsPublished",
    "PersistentRecordsUnusable",
    "CleanUpBlocked",
    "LeftBehind",
    "OrphanedRecordFound",
    "OrphanedRecordRemoved",
    "OrphanedRecordGivenUp",
    "DNSFailed",
]
Http01Reason = Literal[
    "SelfCheckFailed",
    "SelfCheckSkipped",
    "CAAWarning",
    "IngressNotFound",
    "IngressBusy",
    "NameInUse",
    "SolverImageUnknown",
    "TemplateRefused",
    "ResponderUnavailable",
    "ParentRefsMissing",
]
CaReason = Literal[
    "CAUnreachable",
    "DeadlineExceeded",
    "CAMalformedResponse",
    "CAInternalError",
    "NotFoundAtCA",
    "BadNonce",
    "CAUntrusted",
    "CAAddressRefused",
    "InvalidCABundle",
    "RateLimited",
    "OrderLimitReached",
    "ValidationFailed",
    "OrderFailed",
    "RejectedIdentifier",
    "CAAForbids",
    "Unauthorized",
    "BadCSR",
    "CARefused",
    "NoChallenge",
    "ForeignAuthorization",
    "CertificateRefused",
    "PreferredChainMissing",
    "InvalidKeyOrChain",
    "AccountUnknown",
    "OrderExpired",
    "OrderGone",
    "OrderChanged",
    "OrderElsewhere",
    "OrderNotOurs",
    "OrderNotReady",
    "ACMEFailed",
]
ShimReason = Literal[
    "CreateCertificate",
    "UpdateCertificate",
    "DeleteCertificate",
    "BadConfig",
    "CertificateNotOurs",
    "SecretShared",
    "CertificateContested",
]
MirrorReason = Literal[
    "LeftToCertManager",
    "InvalidConfig",
    "IssuerContested",
    "IssuerNotOurs",
    "NotCarriedOver",
    "RenewalRequested",
    "StatusContested",
]
ClusterReason = Literal[
    "APIServerUnreachable",
    "APIServerRefused",
    "InternalError",
    "Quarantined",
]

Reason = (
    NormalReason
    | NeedReason
    | SpecReason
    | IssuerReason
    | DnsReason
    | Http01Reason
    | CaReason
    | ShimReason
    | MirrorReason
    | ClusterReason
)

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Normal operation": get_args(NormalReason),
    "Why a certificate is issued": get_args(NeedReason),
    "Needs your action: the Secret and the spec": get_args(SpecReason),
    "Needs your action: the issuer": get_args(IssuerReason),
    "DNS": get_args(DnsReason),
    "HTTP-01": get_args(Http01Reason),
    "The CA": get_args(CaReason),
    "Ingresses and Gateways": get_args(ShimReason),
    "Objects of cert-manager": get_args(MirrorReason),
    "The cluster, and defects": get_args(ClusterReason),
}
"""All reasons by the heading of their table in docs/operating.md."""
