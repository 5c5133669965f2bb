from __future__ import annotations

import ast
from pathlib import Path, PurePosixPath

import pytest

from rootfs import pruning

PROJECT = Path(__file__).resolve().parents[2]
LEFT_OUT = (
    {name.removesuffix(".py") for name in pruning.UNUSED_STANDARD_LIBRARY}
    | pruning.UNUSED_EXTENSIONS
    | set(pruning.UNUSED_DISTRIBUTIONS)
)


def imports() -> set[tuple[str, str]]:
    """Every module that Certwright's sources import anywhere, also inside functions, with the file that does."""
    found = set()
    for path in (PROJECT / "operator").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {(path.name, name.name) for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {(path.name, f"{node.module}.{name.name}") for name in node.names}
    return found


def test_the_sources_import_nothing_that_the_image_lacks() -> None:
    found = imports()
    assert any(module.startswith("kubernetes.aio.") for _, module in found)
    assert [(path, module) for path, module in found if module.split(".")[0] in LEFT_OUT] == []


def test_the_sources_use_no_generated_class_of_the_kubernetes_client() -> None:
    """`kubernetes.aio.client.V1Pod` would be found by an import check no sooner than the line runs."""
    allowed = ("api_client", "api_response", "configuration", "exceptions", "rest")
    client = [
        (path, module.removeprefix("kubernetes.aio.client."))
        for path, module in imports()
        if module.startswith(("kubernetes.client", "kubernetes.aio.client"))
    ]
    assert client
    assert [(path, name) for path, name in client if name.split(".")[0] not in allowed] == []
    # leaderelection and utils use the generated classes themselves.
    packages = {tuple(module.split(".")[:3]) for _, module in imports() if module.startswith("kubernetes.")}
    assert packages <= {("kubernetes", "aio", "client"), ("kubernetes", "aio", "config")}


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("asyncio/base_events.py", True),
        ("lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", True),
        ("lib-dynload/_sqlite3.cpython-313-x86_64-linux-gnu.so", False),
        ("lib-dynload/_testcapi.cpython-313-x86_64-linux-gnu.so", False),
        ("lib-dynload/_multibytecodec.cpython-313-x86_64-linux-gnu.so", True),
        ("test/support/__init__.py", False),
        ("asyncio/__pycache__/events.cpython-313.pyc", False),
        ("ensurepip/_bundled/pip-25.whl", False),
        ("config-3.13-x86_64-linux-gnu/libpython3.13.a", False),
        ("site-packages/pip/__init__.py", False),
    ],
)
def test_the_standard_library(path: str, kept: bool) -> None:  # noqa: FBT001 - a column of the table
    assert pruning.keeps_of_standard_library(PurePosixPath(path)) is kept


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("kubernetes/aio/client/api_client.py", True),
        ("kubernetes/aio/client/api/core_v1_api.py", False),
        ("kubernetes/client/apis/__init__.py", False),
        ("kubernetes/client/models/__init__.py", True),
        ("kubernetes/client/models/v1_object_meta.py", True),
        ("kubernetes/client/models/v1_pod.py", False),
        ("kubernetes/config/kube_config.py", False),
        ("kubernetes/aio/config/kube_config.py", True),
        ("kubernetes/aio/config/kube_config_test.py", False),
        ("kubernetes/aio/utils/retry.py", True),
        ("kubernetes/aio/watch/watch.py", False),
        ("kubernetes/__init__.py", True),
        ("aiohttp/test_utils.py", False),
        ("aiohttp/_http_parser.pyx", False),
        ("aiohttp/_http_parser.cpython-313-x86_64-linux-gnu.so", True),
        ("dns/latest.py", True),
        ("click/testing.py", True),
        ("pydantic/py.typed", False),
        ("pygments/lexers/python.py", True),
        ("pygments/lexers/fortran.py", False),
        ("tzdata/zoneinfo/Europe/Berlin", True),
        ("tzdata-2026.6.dist-info/METADATA", True),
        ("requests/sessions.py", False),
        ("websocket_client-1.9.2.dist-info/METADATA", False),
        ("websocket/_core.py", False),
        ("urllib3-2.8.0.dist-info/licenses/LICENSE.txt", False),
        ("certifi/cacert.pem", True),
        ("httpx-0.28.1.dist-info/METADATA", True),
        ("httpx-0.28.1.dist-info/licenses/LICENSE.md", True),
        ("httpx-0.28.1.dist-info/RECORD", False),
    ],
)
def test_the_dependencies(path: str, kept: bool) -> None:  # noqa: FBT001 - a column of the table
    loaded = {"kubernetes.client.models.v1_object_meta"}
    assert pruning.keeps_of_packages(PurePosixPath(path), loaded) is kept
