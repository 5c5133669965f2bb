"""The names by which the API server and other programs know us: group, kinds, labels, annotations."""

from typing import Final

GROUP: Final = "certwright.io"
VERSION: Final = "v1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "certwright"
"""`kubectl get certwright` lists everything of ours."""

CERTIFICATES: Final = "certificates"
ISSUERS: Final = "issuers"
CLUSTER_ISSUERS: Final = "clusterissuers"

RESERVED_PREFIX: Final = f"{GROUP}/"
"""Keys of labels and annotations under this prefix are written by the operator alone."""

FINALIZER: Final = f"{GROUP}/clean-up"
"""On a Certificate only while records or solver objects of it exist outside."""
ISSUER_FINALIZER: Final = f"{GROUP}/deactivate-account"
"""On an issuer whose account is to be deactivated when it is deleted."""

MANAGED_LABEL: Final = f"{GROUP}/managed"
MANAGED_VALUE: Final = "true"
"""The Secrets that the operator wrote carry this label; it watches no others."""

COMPONENT_LABEL: Final = f"{GROUP}/component"
"""What a Secret of the operator's own is for: the pending key of a Certificate, or the key of an account."""
ACCOUNT_KEY_COMPONENT: Final = "account-key"

CERTIFICATE_NAME_ANNOTATION: Final = f"{GROUP}/certificate-name"
ISSUER_NAME_ANNOTATION: Final = f"{GROUP}/issuer-name"
ISSUER_KIND_ANNOTATION: Final = f"{GROUP}/issuer-kind"
ISSUER_GROUP_ANNOTATION: Final = f"{GROUP}/issuer-group"
ALT_NAMES_ANNOTATION: Final = f"{GROUP}/alt-names"
"""The DNS names of the certificate in the Secret, sorted and separated by commas."""
IP_SANS_ANNOTATION: Final = f"{GROUP}/ip-sans"
"""Its IP addresses; not set if it has none."""
COMMON_NAME_ANNOTATION: Final = f"{GROUP}/common-name"
"""The common name that was requested; not set without one."""
