"""What `import certwright` shows to somebody who looks around."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import certwright


def test_it_shows_the_packages_of_the_library_and_loads_one_when_it_is_used() -> None:
    program = (
        "import sys, certwright\n"
        "assert [name for name in dir(certwright) if not name.startswith('_')] == ['acme', 'client', 'dns', 'pki']\n"
        "assert {name for name in sys.modules if name.startswith('certwright.')} == set()\n"
        "assert certwright.client.issue.__name__ == 'issue'\n"
        "assert all(f'certwright.{name}' in certwright.__doc__ for name in ('acme', 'client', 'dns', 'pki'))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)  # noqa: S603 - our own


def test_it_says_its_version() -> None:
    assert certwright.__version__ == version("certwright")


def test_it_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'isue'"):
        certwright.isue  # type: ignore[attr-defined]  # noqa: B018 - the look is the test
