"""Annotations that the migration leaves on objects: all that it remembers, so it goes on after a kill at any time."""

from __future__ import annotations

from typing import Final

from certwright.cert_manager import api

FIELD_MANAGER: Final = "certwright-migration"

MOVED: Final = api.MOVED
TRIAL: Final = "certwright.io/migration-trial"
"""On Certificates of ours until `--finish`: the SHA-256 of the `tls.crt` that they took over, or `new` without one."""
REPLICAS: Final = "certwright.io/replicas-before-migration"
"""On cert-manager's Deployment while it is scaled down: how many it had."""
ARGUMENTS: Final = "certwright.io/arguments-before-migration"
"""On cert-manager's Deployment while its ACME controllers are off: its arguments before, as JSON."""
NO_CERTIFICATE: Final = "new"
