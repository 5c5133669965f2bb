"""The options of a bed."""

from __future__ import annotations

from dataclasses import dataclass, field

EXAMPLE_ZONE = "example.test"
DELEGATED_ZONE = "delegated.test"
DAY = 24 * 3600


@dataclass(frozen=True)
class Profile:
    """A certificate profile of Pebble.

    Attributes:
        description: shown in the directory.
        validity_seconds: lifetime of its certificates.
    """

    description: str = "a profile of the test bed"
    validity_seconds: int = 90 * DAY


@dataclass(frozen=True)
class PebbleOptions:
    """Settings of one Pebble; one bed can run several, each with its own.

    Attributes:
        nonce_reject_percent: share of good nonces refused with badNonce.
        authz_reuse_percent: share of valid authorizations that new orders reuse.
        retry_after_authz: seconds in Retry-After of a pending authorization.
        retry_after_order: seconds in Retry-After of a processing order.
        profiles: by name; with only one, an order without a profile gets no random one.
        validation_sleeps: wait up to 5 s before each validation, as Pebble does by default.
        blocked_domains: names refused with rejectedIdentifier, with all below them.
        eab_keys: base64url HMAC keys by key id.
        eab_required: refuse accounts without an external account binding.
        key_algorithm: of the CA, "ecdsa" or "rsa".
        alternate_roots: further chains offered.
        chain_length: number of intermediates.
        dns_server: "host:port" asked in validations (over TCP); None for the bed's BIND.
        http_port: of http-01 validations; None for the ingress controller's.
        tls_port: of tls-alpn-01 validations; None for the ingress controller's.
    """

    nonce_reject_percent: int = 5
    authz_reuse_percent: int = 50
    retry_after_authz: int = 1
    retry_after_order: int = 1
    profiles: dict[str, Profile] = field(default_factory=lambda: {"default": Profile()})
    validation_sleeps: bool = False
    blocked_domains: tuple[str, ...] = ("blocked.example.test",)
    eab_keys: dict[str, str] = field(default_factory=dict, repr=False)
    eab_required: bool = False
    key_algorithm: str = "ecdsa"
    alternate_roots: int = 0
    chain_length: int = 1
    dns_server: str | None = None
    http_port: int | None = None
    tls_port: int | None = None


@dataclass(frozen=True)
class BedOptions:
    """Which parts a bed has.

    Attributes:
        kubernetes: etcd, kube-apiserver and kube-controller-manager.
        ingress: Traefik and a backend for it; needs kubernetes.
        acme: Pebble, and BIND, which Pebble queries.
        challtestsrv: Pebble's challenge test server.
        pebble: settings of the Pebble that is started with the bed.
        audit: write the API server's audit log (metadata of each request).
        node: a real node, with scheduler, container runtime, Service network and cluster DNS; takes root and
            namespaces of its own (`isolation.py`). Traefik then listens on ports 80 and 443.
        network_policies: NetworkPolicies hold between pods (kube-router's firewall); needs node.
        gateway: the Gateway API's definitions, and a Gateway that Traefik serves; needs ingress.
        zones: that BIND serves, each with a wildcard address record to 127.0.0.1, or to the node's address.
        fixed_ports: numbers by part and port name, for ports that programs outside rely on.
    """

    kubernetes: bool = True
    ingress: bool = True
    acme: bool = True
    challtestsrv: bool = True
    pebble: PebbleOptions = field(default_factory=PebbleOptions)
    audit: bool = False
    node: bool = False
    gateway: bool = False
    network_policies: bool = False
    zones: tuple[str, ...] = (EXAMPLE_ZONE, DELEGATED_ZONE)
    fixed_ports: dict[str, dict[str, int]] = field(default_factory=dict)
