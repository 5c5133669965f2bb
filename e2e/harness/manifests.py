"""Objects that fit a test bed."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.bed import TestBed
    from testbed.parts.pebble import Pebble

API_VERSION = "certwright.io/v1"
TSIG_SECRET = "tsig"  # noqa: S105 - the name of a Secret, not one


def tsig_secret(bed: TestBed, namespace: str, *, name: str = TSIG_SECRET) -> dict[str, Any]:
    """Return the Secret with the bed's TSIG key."""
    _, key = bed.bind.main_key
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"secret": key.secret},
    }


def issuer(
    bed: TestBed,
    namespace: str | None,
    *,
    name: str = "pebble",
    pebble: Pebble | None = None,
    server: str | None = None,
    dns_server: str | None = None,
    tsig: str = TSIG_SECRET,
    **acme: Any,
) -> dict[str, Any]:
    """Return an Issuer (a ClusterIssuer without a namespace) for a Pebble and the bed's BIND.

    Args:
        bed: The bed.
        namespace: Where it is to be.
        name: What it is called.
        pebble: Another Pebble than the bed's first.
        server: Another directory URL, such as a proxy's.
        dns_server: Another DNS server than the bed's BIND, ``host:port``.
        tsig: Name of the Secret with the TSIG key.
        acme: Further fields of ``spec.acme``; they replace what is there.
    """
    ca = pebble or bed.pebble
    key_name, key = bed.bind.main_key
    asked = dns_server or bed.bind.address
    spec = {
        "server": server or ca.directory_url,
        "email": "admin@example.test",
        "caBundle": base64.b64encode(ca.ca_bundle_pem).decode(),
        "privateKeySecretRef": {"name": f"{name}-account"},
        "solvers": [
            {
                "dns01": {
                    "nameservers": [asked],
                    "authoritativeNameservers": [asked],
                    "rfc2136": {
                        "nameserver": asked,
                        "tsigKeyName": key_name,
                        "tsigAlgorithm": key.algorithm.replace("-", "").upper(),
                        "tsigSecretSecretRef": {"name": tsig, "key": "secret"},
                    },
                }
            }
        ],
        **acme,
    }
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    kind = "Issuer" if namespace else "ClusterIssuer"
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": {"acme": spec}}


def certificate(
    namespace: str,
    name: str,
    dns_names: Sequence[str],
    *,
    issuer_name: str = "pebble",
    issuer_kind: str = "Issuer",
    **spec: Any,
) -> dict[str, Any]:
    """Return a Certificate whose Secret is its name and ``-tls``; ``spec`` adds or replaces fields."""
    issuers = {} if "issuerRefs" in spec else {"issuerRef": {"name": issuer_name, "kind": issuer_kind}}
    return {
        "apiVersion": API_VERSION,
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "dnsNames": list(dns_names),
            "secretName": f"{name}-tls",
            **issuers,
            **spec,
        },
    }
