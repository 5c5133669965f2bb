"""The addresses and ports of a bed with a node, which has a network of its own."""

from __future__ import annotations

ADDRESS = "10.200.0.1"
"""Where the parts of the bed, pods and the host reach each other."""

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - inside a network namespace of the bed's own

BRIDGE = "br0"

SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"

POD_RANGE = "10.244.0.0/16"
NODE_POD_RANGE = "10.244.0.0/24"
"""What the controller manager assigns to the first node."""

CLUSTER_DOMAIN = "cluster.local"

HTTP_PORT = 80
HTTPS_PORT = 443
