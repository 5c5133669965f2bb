"""The API server: requests, server-side apply, Events, what the watches told."""

from certwright.cli.lean import import_lean

import_lean()
