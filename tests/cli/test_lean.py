from __future__ import annotations

import subprocess
import sys

import pytest

BLOCKING = ("requests", "oauthlib", "requests_oauthlib", "urllib3", "websocket", "charset_normalizer")


def run(*lines: str) -> str:
    """Run a program in an interpreter that has imported nothing yet."""
    answer = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)  # noqa: S603 - our own lines
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_operator_does_without_the_blocking_client() -> None:
    loaded = run(
        "import sys",
        "sys.modules['httpx._main'] = None",
        "import certwright.cli.run",
        f"print(sorted(sys.modules.keys() & set({BLOCKING})), 'kubernetes.aio.client.api_client' in sys.modules)",
    )
    assert loaded == "[] True\n"


@pytest.mark.parametrize("first", ["kubernetes", "kubernetes.aio"])
def test_what_somebody_has_imported_stays(first: str) -> None:
    said = run(
        f"import {first}",
        "from certwright.kube.login import ApiClient",
        "import kubernetes",
        "print(kubernetes.client.V1Pod.__name__)",
    )
    assert said == "V1Pod\n"


def test_what_is_imported_by_its_whole_name_is_found_afterwards() -> None:
    said = run(
        "import certwright.kube.login",
        "import kubernetes.aio.client, kubernetes.client",
        "print(kubernetes.aio.client.ApiClient.__name__, kubernetes.client.V1Pod.__name__)",
    )
    assert said == "ApiClient V1Pod\n"
