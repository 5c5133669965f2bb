"""Annotations that the migration sets on objects. They are its only memory, so it can continue after a kill.

`cert_manager.api` has those that other packages look at.
"""

from __future__ import annotations

from typing import Final

FIELD_MANAGER: Final = "certwright-migration"

REPLICAS: Final = "certwright.io/replicas-before-migration"
"""On cert-manager's Deployment while it is scaled down: how many it had."""
ARGUMENTS: Final = "certwright.io/arguments-before-migration"
"""On cert-manager's Deployment while its ACME controllers are off: its arguments before, as JSON."""
NO_CERTIFICATE: Final = "new"
