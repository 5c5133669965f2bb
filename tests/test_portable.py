"""Errors come out of other processes as they went in: process pools and task queues pickle them."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import certwright
from certwright.acme import (
    AcmeError,
    Identifier,
    Order,
    OrderFailed,
    OrderStatus,
    Problem,
    RateLimited,
    Subproblem,
    UntrustedServer,
)
from certwright.client import CertificateStartsLater, NoSolver, SolverFailed
from certwright.dns import DnsError
from certwright.http.errors import HttpError
from certwright.pki import MissingNames, PkiError
from certwright.portable import PortableError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PROBLEM = Problem(
    type="urn:ietf:params:acme:error:rateLimited",
    detail="too many",
    subproblems=(Subproblem(detail="no", identifier=Identifier.dns("a.example")),),
)
ORDER = Order("https://ca.test/order/1", OrderStatus.INVALID, (Identifier.dns("a.example"),), (), "https://ca.test/f")

EXAMPLES: tuple[Exception, ...] = (
    RateLimited(PROBLEM, action="newOrder", url="https://ca.test/o", status=429, retry_after=60.0, retry_at=NOW),
    OrderFailed(ORDER, {"a.example": PROBLEM}),
    NoSolver({"a.example": ["dns-01"]}, ["http-01"]),
    SolverFailed("clean up", challenge_type="dns-01", names=["a.example"], reason="no"),
    CertificateStartsLater(NOW, NOW, order_url="https://ca.test/order/1"),
    UntrustedServer("no", host="ca.test", reason="self-signed"),
    MissingNames(["a.example"]),
)


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


@pytest.mark.parametrize("error", EXAMPLES, ids=[type(error).__name__ for error in EXAMPLES])
def test_an_error_is_the_same_after_its_way(error: Exception) -> None:
    error.add_note("seen by a worker")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - our own
        assert (type(other), str(other), other.args) == (type(error), str(error), error.args)
        assert vars(other) == vars(error)


def test_every_error_of_the_library_goes_that_way() -> None:
    for package in ("acme", "challenges", "client", "dns", "http", "pki"):
        path = [f"{certwright.__path__[0]}/{package}"]
        for module in pkgutil.walk_packages(path, f"certwright.{package}."):
            importlib.import_module(module.name)
    known = {kind for root in (AcmeError, DnsError, HttpError, PkiError) for kind in (root, *below(root))}
    assert len(known) > 60
    assert {kind.__name__ for kind in known if kind.__reduce__ is not PortableError.__reduce__} == set()


def _work(_: int) -> Any:
    raise EXAMPLES[0]


def test_a_process_pool_survives_an_error() -> None:
    import multiprocessing  # noqa: PLC0415 - for this test alone

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(RateLimited) as caught:
            pool.submit(_work, 1).result()
        assert caught.value.retry_at == NOW
