"""Where http-01 looks for a file. A module of its own, as solver pods load it and nothing else of the library."""

from __future__ import annotations

from typing import Final

WELL_KNOWN_PATH: Final = "/.well-known/acme-challenge/"
"""The path on the validated host below which a token is served (RFC 8555 section 8.3)."""
