"""The path of http-01 files. A separate module, because solver pods load nothing else from the library."""

from __future__ import annotations

from typing import Final

WELL_KNOWN_PATH: Final = "/.well-known/acme-challenge/"
"""The path on the validated host below which a token is served (RFC 8555 section 8.3)."""
