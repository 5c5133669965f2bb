"""The names of cert-manager's API: groups, kinds, annotations, finalizers, its Lease."""

from __future__ import annotations

from typing import Final

GROUP: Final = "cert-manager.io"
VERSION: Final = "v1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
ACME_GROUP: Final = "acme.cert-manager.io"

CONTROLLER_LEASE: Final = "cert-manager-controller"
"""Which its controller holds while it acts."""
LEASE_NAMESPACE: Final = "kube-system"
"""Where that Lease is, unless ``--leader-election-namespace`` names another namespace."""

FINALIZERS: Final = ("acme.cert-manager.io/finalizer", "finalizer.acme.cert-manager.io")
"""On its Challenges; with its controller gone, nothing takes them off."""

MOVED: Final = "certwright.io/moved-from-cert-manager"
"""On objects of ours that the migration has made, Secrets that it has copied included: the UID of the original."""
TRIAL: Final = "certwright.io/migration-trial"
"""On Certificates of ours until `--finish`: the SHA-256 of the `tls.crt` that they took over, or `new` without one."""
BESIDE: Final = "certwright.io/beside-cert-manager"
"""On a Certificate of ours: the UID of cert-manager's Certificate for the same Secret that is known to issue nothing.

The migration sets it where cert-manager's controller keeps running without its ACME controllers.
"""

TEMPORARY_CERTIFICATE: Final = f"{GROUP}/issue-temporary-certificate"

OVERRIDE_INGRESS_NAME: Final = f"{ACME_GROUP}/http01-override-ingress-name"
OVERRIDE_CLASS: Final = f"{ACME_GROUP}/http01-override-ingress-class"
OVERRIDE_CLASS_NAME: Final = f"{ACME_GROUP}/http01-override-ingress-ingressclassname"
PARENT_NAME: Final = f"{ACME_GROUP}/http01-parentrefname"
PARENT_KIND: Final = f"{ACME_GROUP}/http01-parentrefkind"
PARENT_NAMESPACE: Final = f"{ACME_GROUP}/http01-parentrefnamespace"

NOT_ACME: Final = ("ca", "selfSigned", "vault", "venafi")
"""The types of its issuers that have no ACME."""
