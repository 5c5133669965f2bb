"""Which faults are applied to which exchange: the proxy's hooks, without a proxy."""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

from multidict import CIMultiDict

from testbed.exchanges import Action, Forward, Request, Respond, Response

from .fault import Exchange
from .forger import Forger
from .resources import resource_of

if TYPE_CHECKING:
    from .fault import Fault


class Misbehaviour:
    """Applies faults.

    Of several for one exchange the first that answers in place of Pebble wins; those that change its answer are
    applied one after the other.

    Attributes:
        struck: How often each fault was applied, by its name.
    """

    def __init__(self, *faults: Fault) -> None:
        self._faults = faults
        self._met: Counter[Fault] = Counter()
        self._memories: dict[Fault, dict[str, str]] = {fault: {} for fault in faults}
        self._forger = Forger()
        self.struck: Counter[str] = Counter()

    def on_request(self, request: Request) -> Action:
        """Answer in place of Pebble, or not."""
        nothing = Response(HTTPStatus.OK, CIMultiDict(), b"")
        for fault in self._fitting(request, in_place=True):
            outcome = self._apply(fault, request, nothing)
            if isinstance(outcome, Response):
                return Respond(outcome.status, outcome.body, outcome.headers)
            if not isinstance(outcome, Forward):
                return outcome
        return Forward()

    def on_response(self, request: Request, answer: Response) -> Action:
        """Change what Pebble answered, or not."""
        changed = answer
        for fault in self._fitting(request, in_place=False):
            if answer.status >= HTTPStatus.BAD_REQUEST and not fault.errors:
                continue
            outcome = self._apply(fault, request, changed)
            if isinstance(outcome, Response):
                changed = outcome
            elif not isinstance(outcome, Forward):
                return outcome
        return Forward() if changed is answer else Respond(changed.status, changed.body, changed.headers)

    def _fitting(self, request: Request, *, in_place: bool) -> list[Fault]:
        resource = resource_of(request.path)
        found = [fault for fault in self._faults if fault.in_place is in_place and fault.fits(resource)]
        return found if resource else []

    def _apply(self, fault: Fault, request: Request, answer: Response) -> Response | Action:
        self._met[fault] += 1
        if not fault.turns.hit(self._met[fault]):
            return Forward()
        outcome = fault.effect(Exchange(request, answer, self._forger, self._memories[fault]))
        if outcome is not answer and not isinstance(outcome, Forward):
            self.struck[fault.name] += 1
        return outcome
