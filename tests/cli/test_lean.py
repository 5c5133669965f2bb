from __future__ import annotations

import subprocess
import sys

import pytest

BLOCKING = ("requests", "oauthlib", "requests_oauthlib", "urllib3", "websocket", "charset_normalizer")
LEAN = "from certwright.cli.lean import import_lean; import_lean()"


def run(*lines: str) -> str:
    """Run a program in an interpreter that has imported nothing yet."""
    answer = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)  # noqa: S603 - our own lines
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_operator_does_without_the_blocking_client() -> None:
    loaded = run(
        "import sys",
        "from certwright.cli.main import main",
        "try:",
        "    main(['run', '--help'])",
        "except SystemExit as end:",
        "    assert end.code == 0",
        f"blocking = sorted(sys.modules.keys() & set({BLOCKING}))",
        "print('loaded', blocking, 'kubernetes.aio.client.api_client' in sys.modules)",
    )
    assert loaded.splitlines()[-1] == "loaded [] True"


@pytest.mark.parametrize("first", ["kubernetes", "kubernetes.aio"])
def test_what_is_imported_already_stays(first: str) -> None:
    said = run(
        f"import {first}",
        LEAN,
        "from certwright.kube.login import ApiClient",
        "import kubernetes",
        "print(kubernetes.client.V1Pod.__name__)",
    )
    assert said == "V1Pod\n"


def test_what_is_imported_by_its_whole_name_is_found_afterwards() -> None:
    said = run(
        LEAN,
        "import certwright.kube.login",
        "import kubernetes.aio.client, kubernetes.client",
        "print(kubernetes.aio.client.ApiClient.__name__, kubernetes.client.V1Pod.__name__)",
    )
    assert said == "ApiClient V1Pod\n"


def test_who_imports_the_package_otherwise_gets_the_whole_client() -> None:
    said = run(
        "import certwright.kube.login",
        "import kubernetes",
        "print(kubernetes.client.V1Pod.__name__)",
    )
    assert said == "V1Pod\n"


def test_http2_is_loaded_when_a_connection_speaks_it() -> None:
    said = run(
        "import sys",
        LEAN,
        "import certwright.cli.run",
        "print('h2' in sys.modules)",
        # As httpcore's connections do.
        "from httpcore._async.http2 import AsyncHTTP2Connection",
        "print(AsyncHTTP2Connection.__init__.__code__.co_argcount, 'h2' in sys.modules)",
    )
    assert said == "False\n4 True\n"


def test_models_are_built_when_they_are_first_used() -> None:
    said = run(
        "from certwright.resources import Certificate, IssuerRef",
        "print(Certificate.__pydantic_complete__)",
        "print(IssuerRef(name='ca').replace(name='other').name)",
    )
    assert said == "False\nother\n"
