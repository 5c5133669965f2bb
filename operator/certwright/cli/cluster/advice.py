"""Advice for each condition reason. docs/operating.md has more details."""

from __future__ import annotations

from typing import Final

OPERATOR_RETRIES: Final = "Nothing, unless it persists: the operator retries on its own."
_SPELLED: Final[dict[tuple[str, ...], str]] = {
    ("SecretNotOurs", "SecretClaimed"): "Choose another secretName, or delete the conflicting object if you own it.",
    ("ClaimedByCertManager",): (
        "Let only one of the two manage the Secret: kubectl certwright migrate, or delete one of the two Certificates."
    ),
    ("SecretImmutable",): "Delete the Secret, and the operator creates it again.",
    ("SecretContested",): "Find out what changes the Secret (its managedFields, the API server's audit log); stop it.",
    ("OrderedTooOften",): "Find out what deletes or changes the Secret, the spec or the issuer; then wait.",
    ("PrivateKeyMismatch",): "Change spec.privateKey to match the Secret's key, or set rotationPolicy to Always.",
    ("InvalidSpec",): "Correct the field that the message names.",
    ("NotAsAsked",): "Compare duration and renewBefore with what the CA issues.",
    ("RenewalPaused", "Paused"): "Resume it: kubectl certwright resume.",
    ("NamesNotAllowed",): "Ask a cluster administrator to allow the domain, or remove it from the spec.",
    ("NoSolver",): "Add a solver to the issuer whose selector matches the domain.",
    ("WildcardNeedsDNS01",): "Add a dns01 solver to the issuer, or remove the wildcard.",
    ("CredentialsMissing",): "Create the Secret, or the key in it, that the solver refers to.",
    ("AccountKeyMissing", "AccountKeyUnusable"): "Put a usable private key into the Secret of privateKeySecretRef.",
    ("AccountNotValid",): "Delete the Secret of the account key to register a new account.",
    ("InvalidProfile",): "Choose one of the profiles that the message lists.",
    ("InvalidContact",): "Correct the issuer's email.",
    ("UserActionRequired",): "Visit the link in the message.",
    ("IssuerNotFound",): "Create the issuer, or correct issuerRef.",
    ("DNSServerUnreachable", "DNSLookupFailed"): (
        "Check the name server's address and port, and network policies between it and the operator."
    ),
    ("DNSProviderUnreachable",): "Check network policies, the proxy and the status of the DNS provider.",
    ("DNSProviderRefused",): "Grant the solver's credentials, or the operator, the permission in the message.",
    ("InvalidCredential",): "Put the credential into the Secret again, as the DNS provider shows it.",
    ("DNSUpdateRefused", "DNSUpdateFailed"): "Let the key of the solver update this name (update-policy in BIND).",
    ("TSIGRejected", "InvalidTSIGKey"): "Compare the key's name, algorithm and secret with the server's.",
    ("ZoneNotFound",): "Check the domain for a typing error; no zone contains it.",
    ("CNAMELoop",): "Correct the CNAMEs at _acme-challenge.",
    ("CNAMENotAllowed",): "Add the zone to the solver's allowedTargets, or correct the CNAME.",
    ("RecordNotVisible", "WaitingForDNS"): (
        "If it takes longer than your DNS usually does: check that the zone's secondaries are updated, and that the "
        "zone is delegated to the servers that the solver updates."
    ),
    ("WaitingForHTTP", "SelfCheckFailed"): (
        "Check that the domain points to your ingress controller or Gateway, and that it serves the solver's route."
    ),
    ("IngressNotFound",): "Create the Ingress that the solver names, or correct the name.",
    ("WaitingForTLS",): (
        "Check that the domain points to the Gateway or load balancer, and that its port 443 passes TLS through."
    ),
    ("NameInUse",): "Wait for the other Certificate, or use responder pod in the issuer's tlsAlpn01 solver.",
    ("ResponderUnavailable",): "Use responder pod in the solver, or set the option that the message names.",
    ("ParentRefsMissing",): "Add parentRefs to the solver, or to spec.http01 of the Certificate.",
    ("SolverImageUnknown",): "Set the chart's image, or start the operator with --solver-image.",
    ("TemplateRefused",): "Remove the label or annotation that the message names, or extend http01.templates.",
    ("CAUnreachable", "CAMalformedResponse", "CAInternalError", "BadNonce", "DeadlineExceeded"): (
        "Check the CA's status page, and that the operator reaches it: kubectl certwright check."
    ),
    ("CAUntrusted", "InvalidCABundle"): "Set the issuer's caBundle to the certificates of the CA's web server.",
    ("CAAddressRefused",): "Correct the issuer's server.",
    ("DNSServerRefused",): "Correct the address of the DNS server that the message names.",
    ("RateLimited",): "Wait until the time that the CA gave. To order less, put more domains into one Certificate.",
    ("ValidationFailed", "OrderFailed"): (
        "Fix the error that the CA reports for each domain; then: kubectl certwright renew."
    ),
    ("CAAForbids",): "Allow the CA in the domain's CAA records.",
    ("RejectedIdentifier", "Unauthorized", "BadCSR", "CARefused"): "Correct what the CA refuses; see the message.",
    (
        "KeystorePasswordMissing",
        "KeystorePasswordUnusable",
    ): "Put the password into the keystore's Secret.",
    ("SecretTooLarge",): "Request fewer keystores or output formats.",
    ("RenewBeforeTooLong",): "Set renewBefore to less than the lifetime of the CA's certificates.",
    ("RenewalDisabled",): "Set renewal.policy to Automatic, or renew it: kubectl certwright renew.",
    ("ContentsNotSupported",): "Remove uris and emailAddresses, or use a private CA that allows them.",
    ("IssuerUnavailable",): (
        "Check the CA's status page. The operator retries on its own; issuerRefs can list another issuer."
    ),
    ("AddressNeedsHTTP01",): "Add an http01 or tlsAlpn01 solver to the issuer, or remove the IP address.",
    ("AccountNotFound",): "Put the account's key into the Secret of privateKeySecretRef, or correct server.",
    ("AccountKeyReplaced",): "Put the current key of the account into the Secret of privateKeySecretRef.",
    ("ExternalAccountRequired",): "Set externalAccountBinding, with the key that the CA shows its customers.",
    ("ExternalAccountKeyUnusable", "ExternalAccountRefused"): "Copy key identifier and key as the CA shows them.",
    ("TermsNotAccepted", "TermsChanged"): "Read the terms at the link, and set acceptedTerms to their URL.",
    ("ClientCertificateUnusable",): "Put a certificate and its key into the Secret of clientCertificateSecretRef.",
    ("PersistentRecordMissing", "PersistentRecordsChanged"): "Publish the record exactly as in the message.",
    ("PersistentRecordsUnusable",): "Set the solver's issuerDomainName, or a later persistUntil.",
    ("OrderLimitReached",): "Wait: the CA would refuse the order. Put more domains into one Certificate to order less.",
    ("APIServerRefused",): "Grant what the message names: a permission, a quota, or an exception in a policy.",
    ("InternalError", "Quarantined"): "Report it with the operator's log: it is a bug in Certwright.",
}
ADVICE: Final = {reason: advice for reasons, advice in _SPELLED.items() for reason in reasons}
