"""No provider is loaded before it is used, and its first use loads nothing big: an installation pays for what it uses.

`python -m bench --only providers` measures the memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

import pytest

from certwright.dns.providers import PROVIDERS

XML: Final = {"_elementtree", "pyexpat", "pyexpat.errors", "pyexpat.model", "xml"}
ALLOWED: Final[dict[str, set[str]]] = {
    "rfc2136": {"dns.rdtypes.ANY.TXT", "dns.rdtypes.txtbase", "dns.update"},
    "route53": {*XML, "xml.etree", "xml.etree.ElementPath", "xml.etree.ElementTree"},
}
"""What a provider loads besides modules of `certwright.dns` and what the operator has loaded anyway."""

STARTED_WITH: Final = ["certwright.dns.hosted", "certwright.dns.hosted.call"]
"""The base that DNS webhooks have too, whose calls the operator makes itself."""

PROGRAM: Final = """
import json, sys
from certwright.cli.lean import import_lean
import_lean()
import certwright.cli.run
from certwright.dns.providers import PROVIDERS, config_type
LAZY = ("certwright.dns.providers.", "certwright.dns.hosted", "certwright.dns.aws")
started = set(sys.modules)
found = {"": sorted(name for name in started if name.startswith(LAZY))}
for provider in PROVIDERS:
    config_type(provider)
    loaded = set(sys.modules) - started
    found[provider] = sorted(loaded)
    for name in loaded:
        del sys.modules[name]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, list[str]]:
    """What the operator has loaded of the providers when it has started, and what each loads when it is used first."""
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)  # noqa: S603 - our own lines
    assert answer.returncode == 0, answer.stderr
    found: dict[str, list[str]] = json.loads(answer.stdout)
    return found


def test_the_operator_starts_without_any_provider(loaded: dict[str, list[str]]) -> None:
    assert loaded[""] == STARTED_WITH


def test_the_first_use_of_a_provider_loads_its_own_modules_and_no_library(loaded: dict[str, list[str]]) -> None:
    foreign = {
        provider: {name for name in names if not name.startswith("certwright.dns.")}
        for provider, names in loaded.items()
    }
    assert {provider: names for provider, names in foreign.items() if names} == ALLOWED
    for provider in PROVIDERS:
        others = {f"certwright.dns.providers.{other}" for other in PROVIDERS if other != provider}
        assert others.isdisjoint(loaded[provider]), "one provider loads another"
