"""Keys, certificate signing requests, chains, and the checks before a new certificate is stored.

Pure functions on top of `cryptography`, without I/O or asyncio: the caller runs slow ones (RSA) in a thread.
Independent of ACME and Kubernetes.
"""

from certwright.key_file import PrivateKey
from certwright.pki.certificate import CertificateFacts
from certwright.pki.chain import CertificateChain, arrange_chain, check_links, parse_chain
from certwright.pki.contents import CertificateContents, Subject
from certwright.pki.csr import build_csr
from certwright.pki.errors import (
    BrokenChain,
    ChainError,
    CsrError,
    Expired,
    GateRefused,
    IsAuthority,
    KeyMismatch,
    KeystoreError,
    MissingNames,
    NotForServers,
    NotYetValid,
    OlderThanCurrent,
    PkiError,
    PrivateKeyError,
    SurplusNames,
    UnknownCriticalExtension,
    UnsupportedKey,
)
from certwright.pki.gate import check_before_write
from certwright.pki.keys import (
    KeyAlgorithm,
    KeyEncoding,
    generate_private_key,
    key_matches_spec,
    load_private_key,
    private_key_to_pem,
    public_key_matches,
    public_key_matches_spec,
)
from certwright.pki.pkcs12 import Pkcs12Encryption, check_keystore_password, to_pkcs12
from certwright.pki.request import SigningRequest, read_csr

__all__ = [
    "BrokenChain",
    "CertificateChain",
    "CertificateContents",
    "CertificateFacts",
    "ChainError",
    "CsrError",
    "Expired",
    "GateRefused",
    "IsAuthority",
    "KeyAlgorithm",
    "KeyEncoding",
    "KeyMismatch",
    "KeystoreError",
    "MissingNames",
    "NotForServers",
    "NotYetValid",
    "OlderThanCurrent",
    "Pkcs12Encryption",
    "PkiError",
    "PrivateKey",
    "PrivateKeyError",
    "SigningRequest",
    "Subject",
    "SurplusNames",
    "UnknownCriticalExtension",
    "UnsupportedKey",
    "arrange_chain",
    "build_csr",
    "check_before_write",
    "check_keystore_password",
    "check_links",
    "generate_private_key",
    "key_matches_spec",
    "load_private_key",
    "parse_chain",
    "private_key_to_pem",
    "public_key_matches",
    "public_key_matches_spec",
    "read_csr",
    "to_pkcs12",
]
