"""The sweep: finds orphaned challenge records in the DNS, and removes them at a slow pace.

A record is removed by its name and value (a digest that only an order of the account can need), and only if no order
needs it: neither an order of this process, nor one that any Certificate's status names, even a forged one. Every record
on the list is looked up in the DNS, so a record at a provider that the issuer no longer names is reported before the
sweep gives up on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from certwright.challenges.dns01 import Dns01Presenter
from certwright.concurrency import gather_all
from certwright.dns import DnsError, Propagation, ZoneNotFound
from certwright.failures import IssuanceError
from certwright.issuers.left_records import WORDS, Cause, LeftRecord
from certwright.issuers.solver_choice import possible_solvers
from certwright.kube.errors import KubeError
from certwright.kube.events import subject_of
from certwright.runtime.turns import TENANT
from certwright.text import listed, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from certwright.challenges.holders import Holders
    from certwright.challenges.presenter import Presenter
    from certwright.challenges.response import RecordResponse
    from certwright.issuers.left_records import LeftRecords
    from certwright.issuers.presenters import PresenterFactory
    from certwright.issuers.registry import IssuerRegistry, LoadedIssuer
    from certwright.kube.events import EventRecorder
    from certwright.metrics import Metrics
    from certwright.reasons import Reason
    from certwright.resources import ClusterIssuer, Issuer
    from certwright.runtime.key import Key

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0
"""Between two looks at the list."""
SETTLING: Final = dt.timedelta(seconds=120)
"""From the start until records of an earlier process may count as left behind: every Certificate is looked at first."""
IN_PLACE_FOR: Final = dt.timedelta(seconds=30)
"""An order that takes longer has its records on the list. Most are done by then, and cost nothing."""
FIRST_TRY: Final = dt.timedelta(seconds=300)
"""After a record was found: a step that was under way when its Certificate went takes four minutes at most."""
FIRST_PAUSE: Final = dt.timedelta(minutes=5)
LONGEST_PAUSE: Final = dt.timedelta(hours=6)
"""Between two tries at one record, which double from the first."""
PATIENCE: Final = dt.timedelta(days=7)
"""After so long a record that cannot be removed is given up."""
ROUND_SECONDS: Final = 60.0
"""After so long no more namespaces are begun with in one look: those that are left have their turn in the next one, and
meanwhile the list follows the orders that are under way."""
NAMESPACE_SECONDS: Final = 60.0
"""For the records of one namespace in one look: a provider that does not answer takes no more from the others."""
ENOUGH_ABSENCES: Final = 3
"""A record that cannot be removed, as its zone is gone for example, and is not in the DNS so often, is gone."""
ENOUGH_TRIES: Final = 8
"""No record is given up before so many, in ten hours: the clock may be wrong, or the operator was down for long."""
RECORD_SECONDS: Final = 20.0
"""For one record: an order that needs one at the same name waits for it."""
AT_ONCE: Final = 4
"""Namespaces that are looked at at a time."""
TOGETHER: Final = 10
"""Records of one issuer that are removed at the same time."""
MAX_AT_ONCE: Final = 50
"""Records of one issuer in one look."""
SHOWN: Final = 5
"""Records that one Event names."""

Sight = Literal["served", "gone", "unknown"]


@dataclass
class _Tries:
    """What is remembered of the tries at one record.

    Attributes:
        number: How many there were.
        next_at: When the next one is due.
        is_removed: Whether a provider has removed it, or says that it has no such record.
        absences: At how many tries in a row it could not be removed, but was not in the DNS either.
        problem: Why the last one did not do.
    """

    number: int
    next_at: dt.datetime
    is_removed: bool = False
    absences: int = 0
    problem: str = ""

    def failed(self, now: dt.datetime, problem: str) -> None:
        """Note that a try did not do."""
        pause = min(FIRST_PAUSE * 2.0 ** min(self.number, 16), LONGEST_PAUSE)
        self.number, self.next_at, self.problem = self.number + 1, now + pause, problem


class RecordSweep:
    """Looks after the list of records that may be left behind.

    Args:
        left: The list.
        presenters: Makes what removes records.
        registry: The issuers.
        find_issuer: Returns an issuer's object, for Events.
        holders: Who needs which record in this process.
        placed: Returns the records of orders that this process works on, and since when they are in place.
        named: Returns all records that the status of a Certificate names as in place.
        exists: Whether a Certificate is there, by its UID.
        serves: Whether this release looks after a namespace: only then it knows which records its orders need.
        kept_out: Whether another release looks after it as well, and was there first.
        look_at_issuer: Asks for a look at an issuer that is not loaded yet.
        recorder: For Events.
        metrics: Counts records.
        clock: The present time.
    """

    def __init__(
        self,
        left: LeftRecords,
        presenters: PresenterFactory,
        registry: IssuerRegistry,
        *,
        find_issuer: Callable[[Key], Issuer | ClusterIssuer | None],
        holders: Holders[RecordResponse],
        placed: Callable[[], Iterable[LeftRecord]],
        named: Callable[[], Collection[tuple[str, str]]],
        exists: Callable[[LeftRecord], bool],
        serves: Callable[[str], bool],
        kept_out: Callable[[str], bool] = lambda _namespace: False,
        look_at_issuer: Callable[[Key], object],
        recorder: EventRecorder,
        metrics: Metrics,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._left = left
        self._presenters = presenters
        self._registry = registry
        self._find_issuer = find_issuer
        self._holders = holders
        self._placed = placed
        self._named = named
        self._exists = exists
        self._serves = serves
        self._kept_out = kept_out
        self._look_at_issuer = look_at_issuer
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock
        self._tries: dict[tuple[Key, str, str], _Tries] = {}
        self._began: dt.datetime | None = None
        self._told: set[tuple[Key, str, str]] = set()
        self._said: dict[Key, str] | None = None
        self._gone: list[LeftRecord] = []
        self._given_up: defaultdict[str, list[LeftRecord]] = defaultdict(list)
        left.on_dropped = self._no_room
        metrics.watch_orphaned(lambda: left.number_left)

    def message(self, issuer: Key) -> str | None:
        """Return what an issuer's condition says of records that are left; empty for none, None if it is not known."""
        return None if self._said is None else self._said.get(issuer, "")

    async def run(self, begun: asyncio.Event, complete: asyncio.Event) -> None:
        """Look again and again, from when this process leads and knows every Certificate. Ends with a cancellation."""
        await begun.wait()
        await complete.wait()
        while True:
            await self._look_safely()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._left.changed.wait()

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except KubeError as error:
            logger.warning("the list of records that may be left in the DNS: %s", error)
            await asyncio.sleep(LOOK_SECONDS / 4)
        except Exception:
            logger.exception("unexpected error while looking for records that are left in the DNS")
            await asyncio.sleep(LOOK_SECONDS / 4)

    async def look(self) -> None:
        """Bring the list up to date, then try to remove what is left behind and due.

        Raises:
            KubeError: The list cannot be read or written: nothing is removed then.
        """
        now = self._clock()
        await self._left.load()
        self._began = self._began or now
        self._take_placed(now)
        self._tell_new()
        await self._left.write()
        due = self._due(now)
        if due:
            await self._try_all(due)
            self._tell_new()
            await self._left.write()
        self._tell_ended()
        self._show()

    def _take_placed(self, now: dt.datetime) -> None:
        """Have the list hold the records of orders that take long, and drop those of orders that ended well."""
        placed = {one.id: one for one in self._placed()}
        # From a time to come on: the clock was set back since.
        self._left.note(one for one in placed.values() if not dt.timedelta() <= now - one.since < IN_PLACE_FOR)
        ended = [
            one
            for one in self._left
            if not one.is_left and one.is_followed and one.id not in placed and self._exists(one)
        ]
        # Whatever ends an order removes its records, or puts them on the list as left behind.
        self._left.drop(ended)

    def _due(self, now: dt.datetime) -> list[LeftRecord]:
        """Return the records that no order needs and whose next try is due."""
        due = []
        for one in self._left:
            tries = self._tries.setdefault(one.id, _Tries(0, self._first_try(one, now)))
            if tries.next_at <= now or tries.next_at - now > LONGEST_PAUSE:  # the clock was set back since
                due.append(one)
        known = {one.id for one in self._left}
        self._tries = {key: tries for key, tries in self._tries.items() if key in known}
        self._told &= known
        if not due:
            return []
        needed = {(one.record.name, one.record.value) for one in self._placed()} | set(self._named())
        needed |= {(record.name, record.value) for record in self._holders}
        self._leave_to_others([one for one in due if not self._serves(one.certificate.namespace)])
        return [
            one
            for one in due
            if (one.record.name, one.record.value) not in needed
            and self._serves(one.certificate.namespace)
            and not self._kept_out(one.certificate.namespace)
        ]

    def _leave_to_others(self, records: Iterable[LeftRecord]) -> None:
        """Take the records of namespaces off the list that another release may look after by now."""
        for one in records:
            if one.is_left:
                self._give_up([one], "This release no longer serves its namespace")
            else:
                self._done(one)

    def _first_try(self, one: LeftRecord, now: dt.datetime) -> dt.datetime:
        began = (self._began or now) + SETTLING
        if one.is_read:
            return began
        if one.cause == "RemovalFailed":
            return now + FIRST_PAUSE
        return max(now + FIRST_TRY, began)

    async def _try_all(self, due: Sequence[LeftRecord]) -> None:
        by_namespace: defaultdict[str, list[LeftRecord]] = defaultdict(list)
        for one in due:
            by_namespace[one.certificate.namespace].append(one)
        room = asyncio.Semaphore(AT_ONCE)
        last_begin = asyncio.get_running_loop().time() + ROUND_SECONDS

        async def in_turn(namespace: str, records: Sequence[LeftRecord]) -> None:
            async with room:
                if asyncio.get_running_loop().time() > last_begin:
                    return
                TENANT.set(namespace)
                await self._try_namespace(records)

        async with asyncio.TaskGroup() as group:
            for namespace, records in by_namespace.items():
                group.create_task(in_turn(namespace, records))

    async def _try_namespace(self, records: Sequence[LeftRecord]) -> None:
        open_: list[LeftRecord] = list(records)
        try:
            async with asyncio.timeout(NAMESPACE_SECONDS):
                for issuer, of_issuer in _by_issuer(records).items():
                    group = of_issuer[:MAX_AT_ONCE]
                    open_ = group
                    await self._try_issuer(issuer, group)
                    open_ = []
        except TimeoutError:
            for one in open_:
                self._not_yet(one, f"it took longer than {NAMESPACE_SECONDS:g} s")

    async def _try_issuer(self, key: Key, records: Sequence[LeftRecord]) -> None:
        """Try to remove the records of one issuer."""
        issuer = self._registry.loaded(key)
        if issuer is None and self._registry.view(key).state == "unknown":
            self._look_at_issuer(key)
        strange = [one for one in records if issuer is not None and one.is_read and one.issuer_uid != issuer.uid]
        if strange:
            self._give_up(strange, f"{key} is not the object any more that it was created by")
        ours = [one for one in records if one not in strange]
        forged = [one for one in ours if issuer is not None and one.is_read and not one.is_sealed(issuer.seal_keys)]
        if forged:
            self._give_up(
                forged, f"Its entry is not as the operator wrote it, or the account key of {key} was replaced"
            )
        ours = [one for one in ours if one not in forged]
        for start in range(0, len(ours), TOGETHER):
            # Together, as a zone's changes of the same time are one request where the provider allows that.
            await gather_all(self._try(one, issuer) for one in ours[start : start + TOGETHER])

    async def _try(self, one: LeftRecord, issuer: LoadedIssuer | None) -> None:
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                await self._look_and_remove(one, issuer)
        except (DnsError, IssuanceError, KubeError) as error:
            self._not_yet(one, str(error))
        except TimeoutError:
            self._not_yet(one, f"it took longer than {RECORD_SECONDS:g} s")
        except Exception as error:
            logger.exception("unexpected error while removing the TXT record %s", one.record.name)
            self._not_yet(one, f"{type(error).__name__} while it was removed")

    async def _look_and_remove(self, one: LeftRecord, issuer: LoadedIssuer | None) -> None:
        presenters = await self._presenters_for(one, issuer)
        sight = await self._see(one, presenters)
        if not one.is_left:
            if sight == "gone":
                self._done(one)  # its order has ended as it should, and the list was not written any more
                return
            one = self._found(one)
        if self._tries[one.id].is_removed and sight != "served":
            self._removed(one)
            return
        async with self._holders.releasing(self, [one.record]) as removable:
            # An order that comes to need it meanwhile waits until this is done, and then puts it in place again.
            if removable:
                await self._remove(one, presenters, sight)

    async def _remove(self, one: LeftRecord, presenters: Sequence[Presenter], sight: Sight) -> None:
        tries = self._tries[one.id]
        problems = [problem for presenter in presenters if (problem := await _clean_up(one, presenter)) is not None]
        if len(problems) < len(presenters) and (sight != "unknown" or not problems):
            if sight != "served" or all(map(_keeps_values, presenters)):
                self._removed(one)
            elif tries.is_removed:
                self._not_yet(one, "its name servers still answer with it")
            else:
                tries.is_removed, tries.next_at = True, self._clock() + FIRST_PAUSE  # they may take a while
            return
        has_no_zone = sight == "unknown" and all(isinstance(problem, ZoneNotFound) for problem in problems)
        tries.absences = tries.absences + 1 if sight == "gone" or has_no_zone else 0
        if tries.absences >= ENOUGH_ABSENCES:
            self._removed(one)
        else:
            self._not_yet(one, str(problems[0]))

    async def _presenters_for(self, one: LeftRecord, issuer: LoadedIssuer | None) -> list[Presenter]:
        """Return what may remove a record: what put it in place, if it is known; then the issuer's solvers for it.

        Raises:
            IssuanceError: There is nothing.
        """
        found: list[Presenter] = []
        kept = self._left.presenter(one)
        if kept is not None:
            found.append(kept)
        problem: BaseException | None = None
        if issuer is not None:
            for solver in possible_solvers(issuer.spec.solvers, one.domain, one.record.challenge_type):
                try:
                    found.append(await self._presenters.of_records(issuer, solver))
                except (DnsError, IssuanceError, KubeError) as error:
                    problem = problem or error
        if found:
            return found
        if problem is not None:
            raise problem
        view = self._registry.view(one.issuer)
        why = "it has no solver for the domain any more" if issuer is not None else view.message or "it is not loaded"
        raise IssuanceError("CleanUpBlocked", f"{one.issuer} cannot remove it: {why}")

    async def _see(self, one: LeftRecord, presenters: Sequence[Presenter]) -> Sight:
        """Return whether any server still answers with a record."""
        for presenter in presenters:
            try:
                [seen] = await presenter.check([one.record])
            except DnsError:
                continue
            if not isinstance(seen, Propagation):
                continue
            answers = [view for view in seen.seen if view.error is None]
            if any(one.record.value in view.values for view in answers):
                return "served"
            if answers:
                return "gone"
        return "unknown"

    def _found(self, one: LeftRecord) -> LeftRecord:
        cause: Cause = "OrderLost" if self._exists(one) else "CertificateGone"
        lost = replace(one, cause=cause, since=self._clock(), is_read=False)
        self._left.put(lost)
        return lost

    def _not_yet(self, one: LeftRecord, problem: str) -> None:
        """Plan the next try, or give the record up."""
        now, tries = self._clock(), self._tries[one.id]
        tries.failed(now, problem)
        current = self._left.get(one) or one
        if current.is_left and now - current.since >= PATIENCE and tries.number >= ENOUGH_TRIES:
            self._give_up([current], problem)
            return
        logger.warning("the TXT record %s, which is left behind, is not removed yet: %s", one.record.name, problem)

    def _removed(self, one: LeftRecord) -> None:
        self._done(one)
        self._gone.append(one)

    def _done(self, one: LeftRecord) -> None:
        self._left.drop([one])
        self._tries.pop(one.id, None)

    def _give_up(self, records: Sequence[LeftRecord], why: str) -> None:
        for one in records:
            self._done(one)
        self._given_up[why] += records

    def _no_room(self, records: Iterable[LeftRecord]) -> None:
        for one in records:
            self._give_up([one], "There are too many such records in its namespace")

    def _tell_new(self) -> None:
        """Say which records were found to be left behind since the last time."""
        new = [one for one in self._left if one.is_left and not one.is_read and one.id not in self._told]
        for issuer, records in _by_issuer(new).items():
            self._told.update(one.id for one in records)
            self._metrics.orphaned("found", len(records))
            message = f"Orphaned in the DNS: {_shown(records)}. The operator tries to remove it for seven days."
            self._tell(issuer, "Warning", "OrphanedRecordFound", message)

    def _tell_ended(self) -> None:
        """Say what became of records since the last time."""
        gone, self._gone = self._gone, []
        for issuer, records in _by_issuer(gone).items():
            self._metrics.orphaned("removed", len(records))
            message = f"No longer in the DNS: {_shown(records)}."
            self._tell(issuer, "Normal", "OrphanedRecordRemoved", message)
        given_up, self._given_up = self._given_up, defaultdict(list)
        for why, of_cause in given_up.items():
            for issuer, records in _by_issuer(of_cause).items():
                self._metrics.orphaned("given_up", len(records))
                message = f"Could not be removed from the DNS: {_shown(records)}. {sentence(why)} Remove it by hand."
                self._tell(issuer, "Warning", "OrphanedRecordGivenUp", message)

    def _show(self) -> None:
        """Have the issuers' conditions say what is left now."""
        left = _by_issuer(one for one in self._left if one.is_left)
        said = {key: f"Orphaned in the DNS, not removed yet: {_shown(records)}." for key, records in left.items()}
        before, self._said = self._said or {}, said
        for issuer in before.keys() | said.keys():
            if before.get(issuer) != said.get(issuer):
                self._look_at_issuer(issuer)

    def _tell(self, issuer: Key, kind: Literal["Normal", "Warning"], reason: Reason, message: str) -> None:
        if kind == "Warning":
            logger.warning("%s: %s", issuer, message)
        found = self._find_issuer(issuer)
        if found is not None:
            self._recorder.record(subject_of(found.KIND, found.metadata), kind, reason, message)


def _by_issuer(records: Iterable[LeftRecord]) -> dict[Key, list[LeftRecord]]:
    found: defaultdict[Key, list[LeftRecord]] = defaultdict(list)
    for one in records:
        found[one.issuer].append(one)
    return found


def _keeps_values(presenter: Presenter) -> bool:
    return isinstance(presenter, Dns01Presenter) and presenter.keeps_values


async def _clean_up(one: LeftRecord, presenter: Presenter) -> DnsError | None:
    """Remove a record by one presenter; return why that fails, or None."""
    try:
        await presenter.clean_up([one.record])
    except DnsError as error:
        return error
    return None


def _shown(records: Sequence[LeftRecord]) -> str:
    texts = [f"{one.record.name} TXT {one.record.value} of {one.certificate} ({WORDS[one.cause]})" for one in records]
    return listed(texts, most=SHOWN)
