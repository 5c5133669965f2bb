"""`check`: all checks, ordered so that each explains the following ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.checks.installation import check_api_server, check_clock, check_crds
from certwright.cli.cluster.checks.issuers import check_issuers
from certwright.cli.cluster.checks.operator import check_operator
from certwright.cli.cluster.checks.result import Result
from certwright.cli.cluster.checks.rights import check_operators, check_yours
from certwright.cli.cluster.connection import session
from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.human import table
from certwright.cli.cluster.rows import as_text
from certwright.cli.cluster.runner import say
from certwright.kube.errors import KubeError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from certwright.cli.cluster.connection import Session, Target
    from certwright.cli.cluster.rows import Format

SIGNS: Final = {"pass": "PASS", "warn": "WARN", "fail": "FAIL"}


async def check(target: Target, *, operator_namespace: str | None, form: Format) -> ExitCode:
    """Check everything; fail if anything fails."""
    async with session(target) as connected:
        results = await all_checks(connected, operator_namespace)
    failed = sum(one.level == "fail" for one in results)
    if form in {"json", "yaml"}:
        found = [{"level": one.level, "name": one.name, "message": one.message} for one in results]
        say([as_text({"ok": not failed, "checks": found}, form)])
    else:
        rows = [[SIGNS[one.level], one.name, one.message] for one in results]
        warned = sum(one.level == "warn" for one in results)
        passed = len(results) - failed - warned
        say([*table(["RESULT", "CHECK", "FOUND"], rows), "", f"{passed} passed, {warned} warnings, {failed} failed"])
    return ExitCode.FAILED if failed else ExitCode.DONE


async def all_checks(connected: Session, operator_namespace: str | None) -> list[Result]:
    """Return what all checks have found; without an API server there is nothing to check."""
    first = await check_api_server(connected)
    operator = asyncio.ensure_future(check_operator(connected, operator_namespace))

    async def of_operator() -> list[Result]:
        return (await operator)[0]

    async def operators_rights() -> list[Result]:
        return await check_operators(connected, (await operator)[1])

    async def issuers() -> list[Result]:
        return await check_issuers(connected, (await operator)[1])

    parts = await asyncio.gather(
        _safely("clock", check_clock(connected)),
        _safely("CRDs", check_crds(connected)),
        _safely("operator", of_operator()),
        _safely("your rights", check_yours(connected)),
        _safely("the operator's rights", operators_rights()),
        _safely("issuers", issuers()),
    )
    return [first, *(one for part in parts for one in part)]


async def _safely(name: str, check_: Coroutine[Any, Any, list[Result]]) -> list[Result]:
    try:
        return await check_
    except KubeError as error:
        return [Result("warn", name, f"cannot be checked: {error}")]
