"""Annotations that the migration leaves on objects: all that it remembers, so it goes on after a kill at any time.

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
