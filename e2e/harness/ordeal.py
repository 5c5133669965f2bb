"""Take a user of the library through a fault and out of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from certwright.acme import AcmeError, PollTimedOut, TimedOut
from certwright.failures import classify
from certwright.pki import PkiError
from harness.acme_user import HASTY, PATIENT, AcmeUser, acme_user
from harness.outcomes import OUTCOMES
from testbed.faults import MARKER, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.faults import Fault
    from testbed.parts.bind import Bind
    from testbed.parts.pebble import Pebble

Doing: TypeAlias = Callable[[AcmeUser], Awaitable[object]]

LONGEST_SECONDS: Final = 120.0
"""Far more than the time-outs of `acme_user` add up to, for machines that are busy."""
KEY_START: Final = "MHcCAQEEI"
"""What every P-256 key begins with in a PEM block of the kind that `private-key-in-chain` adds."""


class Ordeal:
    """One CA that misbehaves, and one client object that has to cope with it.

    Args:
        pebble: The CA.
        bind: Where the challenges are answered.

    Attributes:
        struck: How often the faults of the last ordeal were applied.
    """

    def __init__(self, pebble: Pebble, bind: Bind) -> None:
        self._pebble = pebble
        self._bind = bind
        self.struck = 0

    async def suffer(self, *faults: Fault, doing: Doing | None = None) -> AcmeError | PkiError | None:
        """Run an issuance with faults, then have the same client obtain a certificate without them.

        Args:
            faults: What the CA does wrong.
            doing: What is to meet the faults in place of an issuance, after an issuance without any.

        Returns:
            What it ended in; None if it succeeded all the same.

        Raises:
            AssertionError: A fault was not met, took too long, or is told in the CA's words; or the client is
                of no use afterwards.
        """
        ends = {OUTCOMES[fault.name].error for fault in faults}
        timeouts = HASTY if TimedOut in ends else PATIENT
        ca_bundle = self._pebble.ca_bundle_pem
        with FaultProxy.of(self._pebble) as proxy, _logged() as lines:
            async with acme_user(proxy.directory_url, ca_bundle, self._bind, timeouts=timeouts) as user:
                if doing is not None:
                    await user.obtain()
                proxy.misbehave(*faults)
                user.poll_seconds = (HASTY if PollTimedOut in ends else PATIENT).total
                async with asyncio.timeout(LONGEST_SECONDS):
                    error = await _failure(user, doing or AcmeUser.obtain)
                user.poll_seconds = PATIENT.total
                assert set(proxy.struck) == {fault.name for fault in faults}, f"not met; it ended in {error!r}"
                self.struck = proxy.struck.total()
                proxy.misbehave()
                await user.obtain()
                await _settled(proxy)
        shown = "\n".join(lines)
        assert "directory: GET" in shown
        for secret in (MARKER, KEY_START, *user.seen):
            assert secret not in shown, "a log line gives away what must not be seen"
            assert error is None or secret not in _everything(error), "the error gives away what must not be seen"
        return error


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect the log at the most verbose levels: our own loggers at DEBUG, others at INFO."""
    lines: list[str] = []
    collector = logging.Handler()
    collector.emit = lambda record: lines.append(collector.format(record))  # type: ignore[method-assign]
    root, ours = logging.getLogger(), logging.getLogger("certwright")
    levels = root.level, ours.level
    root.addHandler(collector)
    root.setLevel(logging.INFO)
    ours.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(collector)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


async def _settled(proxy: FaultProxy) -> None:
    """Check that all connections but the one in use are closed; the other side notices that a moment later."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while proxy.connections > 1:
        assert time.monotonic() < deadline, "a connection was left behind"
        await asyncio.sleep(0.01)


async def _failure(user: AcmeUser, doing: Doing) -> AcmeError | PkiError | None:
    try:
        await doing(user)
    except (AcmeError, PkiError) as error:
        return error
    return None


def _everything(error: BaseException) -> str:
    return f"{error} {error!r} {vars(error)}"


def check_outcome(fault: Fault, error: AcmeError | PkiError | None) -> None:
    """Check that a fault ended as `OUTCOMES` says, in the library and in the operator's eyes."""
    expected = OUTCOMES[fault.name]
    assert type(error) is (expected.error or type(None)), repr(error)
    if error is not None and not expected.found_by_operator:
        assert classify(error, datetime.now(UTC)).reason == expected.reason
