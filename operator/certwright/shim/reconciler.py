"""Creates and updates the Certificates of Ingresses, Gateways and ListenerSets according to their annotations.

The watch delivers only metadata, so a changed object is read as a whole. The requested Certificates are compared with
those that the operator watches anyway, and nothing is written if nothing changed.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager.api import BESIDE, MOVED, TRIAL
from certwright.certificates.store import controller_key
from certwright.issuers.solver_choice import selected_labels
from certwright.kube.contest import Contest
from certwright.kube.errors import Conflict, Forbidden, Invalid
from certwright.kube.owned import Applied, Told, digest
from certwright.kube.refusals import advice
from certwright.kube.resource import ANNOTATED, GATEWAYS, INGRESSES
from certwright.resources import Certificate
from certwright.runtime.key import Key
from certwright.runtime.result import Result
from certwright.shim.annotations import Defaults, Refusal, asks, read_annotations, with_issuer_of
from certwright.shim.certificates import wanted_certificates
from certwright.shim.sources import MAX_REFUSALS, OF_GATEWAYS, Source, is_taken, parent_gateway
from certwright.text import listed, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from certwright.certificates.store import Certificates
    from certwright.kube.cert_manager import IsLive
    from certwright.kube.events import EventRecorder
    from certwright.kube.resource import Resource
    from certwright.reasons import Reason
    from certwright.resources import ClusterIssuer, Issuer
    from certwright.shim.certificates import Wanted
    from certwright.shim.requests import ShimApi
    from certwright.shim.routes import Routes

logger = logging.getLogger(__name__)

KINDS: Final[Mapping[str, Resource]] = {resource.kind: resource for resource in ANNOTATED}
TAKEN_SECONDS: Final = 2.0
"""After another object took the name of a Certificate at the same time."""
FREE_WRITES: Final = 5
"""People who delete a Certificate get it back at once so often."""
CALM_SECONDS: Final = 900.0
"""After which what was written last of a Certificate counts no more."""
MAX_CONTESTS: Final = 4096
HELD_SECONDS: Final = 60.0
"""Between looks at whether cert-manager still runs, and at what tells nobody when it changes."""
REFUSED_SECONDS: Final = 300.0
"""Between tries of what an admission policy, a quota or RBAC refuses: these change without a word."""


@dataclass(frozen=True)
class Options:
    """How the shim works.

    Attributes:
        defaults: Which annotations count, and the issuer of ``kubernetes.io/tls-acme``.
        leaves_to_cert_manager: Whether cert-manager's annotations are left to its controller while that one runs.
    """

    defaults: Defaults
    leaves_to_cert_manager: bool = False


class ShimReconciler:
    """Brings Certificates about.

    Args:
        api: Reads and writes.
        options: How it works.
        certificates: Those that the operator watches.
        find_issuer: Returns an issuer by its key, or None if it is not known.
        recorder: For Events on the annotated objects.
        routes: The HTTPRoutes, for names that are taken from them.
        is_cert_manager_live: Whether cert-manager's controller runs in the cluster.
        is_claimed: Whether a Certificate of it names a Secret: namespace and name.
        clock: Seconds.
    """

    def __init__(
        self,
        api: ShimApi,
        options: Options,
        *,
        certificates: Certificates,
        find_issuer: Callable[[Key], Issuer | ClusterIssuer | None],
        recorder: EventRecorder,
        routes: Routes,
        is_cert_manager_live: IsLive,
        is_claimed: Callable[[str, str], bool] = lambda _namespace, _secret: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._routes = routes
        self._is_cert_manager_live = is_cert_manager_live
        self._is_claimed = is_claimed
        self._gateway_of: dict[Key, Key] = {}
        self._of_gateway: defaultdict[Key, set[Key]] = defaultdict(set)
        self._api = api
        self._options = options
        self._certificates = certificates
        self._find_issuer = find_issuer
        self._recorder = recorder
        self._applied = Applied()
        self._writing: set[tuple[str, str]] = set()
        self._gone: set[str] = set()
        """The UIDs of Certificates that went while one of their name was being written."""
        self._waiting: defaultdict[tuple[str, str], set[Key]] = defaultdict(set)
        self._waits_for: defaultdict[Key, set[tuple[str, str]]] = defaultdict(set)
        self._told: Told[tuple[Reason, str]] = Told()
        self._contest = Contest[tuple[str, str]](
            clock, free_writes=FREE_WRITES, calm_seconds=CALM_SECONDS, most=MAX_CONTESTS
        )

    async def reconcile(self, key: Key) -> Result:
        """Bring the Certificates of one object about, or take them away.

        Raises:
            KubeError: The API server cannot be asked, or refuses.
        """
        resource = KINDS[key.kind]
        body = await self._api.read(resource, key.namespace, key.name)
        self._stop_waiting(key)
        if body is None:
            # Its Certificates go with it: Kubernetes collects what it owned.
            self._told.forget(key)
            self._routes.forget(key)
            self._attach(key, None)
            return Result.ON_EVENT
        found = await self._with_gateway(key, Source.of(resource, body))
        if isinstance(found, Result):
            return found
        if found.is_going:
            return Result.ON_EVENT
        source, wishes = found, read_annotations(found.annotations, self._options.defaults)
        if await self._is_left_to_cert_manager(source):
            await self._hand_over(source)
            return Result.again_in(HELD_SECONDS)
        if wishes.issuer is None and not wishes.refusals:
            await self._delete(source, (), "it no longer names an issuer")
            self._tell(source, ())
            return Result.ON_EVENT
        names_of = None
        if wishes.names_from_routes and source.resource != INGRESSES:
            self._routes.ask(key)
            if not self._routes.is_listed:
                # Their list wakes it.
                return Result.ON_EVENT
            names_of = partial(self._routes.names, key)
        else:
            self._routes.forget(key)
        labels = self._label_names(source, wishes.issuer)
        wanted = wanted_certificates(source, wishes, label_names=labels, names_of=names_of)
        refusals: list[tuple[Reason, str]] = [("BadConfig", f"{one}.") for one in wanted.refusals]
        result = Result.ON_EVENT
        for name, manifest in wanted.certificates.items():
            refusal, again = await self._bring(source, name, self._api.completed(manifest))
            refusals += [refusal] if refusal is not None else []
            if again is not None and again.after is not None:
                result = result.no_later_than(again.after)
        await self._delete_surplus(source, wanted)
        self._tell(source, refusals)
        return result

    def wakes(self, before: Certificate | None, after: Certificate | None) -> Iterable[Key]:
        """Return the objects to look at because a Certificate came, changed or went."""
        known = after or before
        if known is None:
            return
        place = (known.metadata.namespace or "", known.metadata.name)
        if after is None:
            self._applied.forget(place)
            yield from self._waiting.get(place, ())
        elif before is not None and before.metadata.owner_references != after.metadata.owner_references:
            yield from self._waiting.get(place, ())
        if place in self._writing:
            # News of our own write, or of what was done to it since: told apart once it is known what was written.
            if after is None:
                self._gone.add(known.metadata.uid)
            return
        if after is not None and self._is_as_written(after):
            return
        if before is not None and after is not None and before.metadata.generation == after.metadata.generation:
            return
        owner = controller_key(known)
        if owner is not None and owner.kind in KINDS:
            yield owner

    def of_issuer(self, issuer: Key) -> Iterable[Key]:
        """Return the objects whose Certificates name an issuer: its solvers say which labels they need."""
        yield from self.makers_of(self._certificates.of_issuer(issuer))

    def makers_of(self, certificates: Iterable[Key]) -> Iterable[Key]:
        """Return the objects that Certificates were made for, as far as they were."""
        for key in certificates:
            certificate = self._certificates.get(key)
            owner = controller_key(certificate) if certificate is not None else None
            if owner is not None and owner.kind in KINDS:
                yield owner

    def at_gateway(self, key: Key) -> Iterable[Key]:
        """Return the ListenerSets that take the issuer of a Gateway; nothing for other kinds."""
        return tuple(self._of_gateway.get(key, ()))

    async def _with_gateway(self, key: Key, source: Source) -> Source | Result:
        """Return a ListenerSet with the issuer of its Gateway if it names none; or what to do if all stays as it is."""
        gateway = parent_gateway(source) if source.resource in OF_GATEWAYS else None
        if gateway is None or asks(source.annotations, self._options.defaults):
            self._attach(key, None)
            return source
        # Before it is read: a change that comes meanwhile wakes the ListenerSet.
        self._attach(key, Key(GATEWAYS.kind, *gateway))
        body = await self._api.read(GATEWAYS, *gateway)
        parent = Source.of(GATEWAYS, body) if body is not None else None
        if parent is None or parent.is_going:
            return Result.ON_EVENT
        annotations = with_issuer_of(source.annotations, parent.annotations, self._options.defaults)
        if asks(annotations, self._options.defaults) and not (taken := is_taken(source, parent)):
            # The status of a ListenerSet is no news here, so who waits for its Gateway's controller looks again.
            self._tell(source, () if taken is None else [_not_taken(gateway)])
            return Result.again_in(HELD_SECONDS) if taken is None else Result.ON_EVENT
        return replace(source, annotations=annotations)

    def _attach(self, key: Key, gateway: Key | None) -> None:
        """Remember whose issuer a ListenerSet takes."""
        before = self._gateway_of.pop(key, None)
        if before is not None:
            self._of_gateway[before].discard(key)
            if not self._of_gateway[before]:
                del self._of_gateway[before]
        if gateway is not None:
            self._gateway_of[key] = gateway
            self._of_gateway[gateway].add(key)

    async def _hand_over(self, source: Source) -> None:
        """Delete what was made while cert-manager's controller was away, once that has Certificates for the same.

        What the migration has made is left to it, and its way back.
        """
        kept = {
            one.metadata.name
            for one in self._controlled_by(source)
            if MOVED in one.metadata.annotations or not self._is_claimed(source.namespace, one.spec.secret_name)
        }
        await self._delete(source, kept, "cert-manager is running again and has one for its Secret")

    async def _is_left_to_cert_manager(self, source: Source) -> bool:
        """Whether only annotations ask for something that cert-manager sees as well, and it runs.

        One whose Certificate was moved in a mixed cluster is ours: cert-manager's controller runs on without what makes
        Certificates for annotated objects.
        """
        if not (self._options.leaves_to_cert_manager and self._asks_by_theirs(source)):
            return False
        made = self._controlled_by(source)
        moved = any(BESIDE in one.metadata.annotations for one in made)
        return not moved and await self._is_cert_manager_live(creating=not made)

    def _asks_by_theirs(self, source: Source) -> bool:
        return asks(source.annotations, self._options.defaults) and not asks(source.annotations, Defaults())

    def _controlled_by(self, source: Source) -> list[Certificate]:
        return [one for one in self._certificates.controlled_by(source.key) if source.owns(one)]

    def _label_names(self, source: Source, issuer: Mapping[str, str] | None) -> Collection[str]:
        """Return the labels that solvers of the issuer select Certificates by."""
        if issuer is None:
            return ()
        namespace = source.namespace if issuer["kind"] == "Issuer" else ""
        found = self._find_issuer(Key(issuer["kind"], namespace, issuer["name"]))
        return () if found is None else selected_labels(found.spec.acme)

    async def _bring(
        self, source: Source, name: str, manifest: Mapping[str, Any]
    ) -> tuple[tuple[Reason, str] | None, Result | None]:
        """Apply a Certificate if it is not as it should be; return what is to be told, and when to look again."""
        place = (source.namespace, name)
        present = self._certificates.get(Key(Certificate.KIND, *place))
        if place in self._writing:
            return None, Result.again_in(TAKEN_SECONDS)
        if present is not None and not source.owns(present):
            self._waiting[place].add(source.key)
            self._waits_for[source.key].add(place)
            return _sharing(present, manifest), None
        if present is None and self._is_claimed(*place) and self._asks_by_theirs(source):
            # Of a mixed cluster: cert-manager's Certificate stays, and ours would only wait beside it.
            return None, Result.again_in(HELD_SECONDS)
        if present is not None and TRIAL in present.metadata.annotations:
            manifest = _on_trial(manifest)
        if self._applied.is_unchanged(place, present, manifest):
            return None, None
        said = digest(manifest)
        if self._contest.is_contested(place, said):
            if self._contest.is_news(place):
                self._warn(source, *_contested(name))
            if (pause := self._contest.pause(place, said)) > 0:
                return None, Result.again_in(pause)
        return await self._apply(source, present, manifest)

    async def _apply(
        self, source: Source, present: Certificate | None, manifest: Mapping[str, Any]
    ) -> tuple[tuple[Reason, str] | None, Result | None]:
        """Write a Certificate, and tell that; return what is to be told if it is refused, and when to look again."""
        name = manifest["metadata"]["name"]
        place = (source.namespace, name)
        if not self._writing:
            self._gone.clear()
        self._writing.add(place)
        try:
            written = await self._api.apply(manifest, uid=present.metadata.uid if present is not None else None)
        except Conflict as error:
            # Another Certificate has the name by now; the watch brings it in a moment.
            logger.info("%s: %s; looking again", source.key, error)
            return None, Result.again_in(TAKEN_SECONDS)
        except (Invalid, Forbidden) as error:
            return _refused(name, error)
        finally:
            self._writing.discard(place)
        metadata = written["metadata"]
        self._contest.note(place, digest(manifest))
        if metadata.get("uid") in self._gone:
            # It was deleted before the answer came.
            return None, Result.again_in(TAKEN_SECONDS)
        self._applied.note(place, manifest, metadata)
        now = self._certificates.get(Key(Certificate.KIND, *place))
        overtaken = now is not None and now.metadata.uid == metadata.get("uid") and not self._is_as_written(now)
        names = listed([*manifest["spec"]["dnsNames"], *manifest["spec"].get("ipAddresses", ())])
        if present is None:
            self._record(source, "Normal", "CreateCertificate", f"Created the Certificate {name} for {names}")
        elif present.metadata.generation != metadata.get("generation"):
            self._record(source, "Normal", "UpdateCertificate", f"Updated the Certificate {name} for {names}")
        return None, Result.again_in(TAKEN_SECONDS) if overtaken else None

    def _is_as_written(self, certificate: Certificate) -> bool:
        metadata = certificate.metadata
        return self._applied.is_as_written((metadata.namespace or "", metadata.name), metadata)

    async def _delete_surplus(self, source: Source, wanted: Wanted) -> None:
        if not wanted.keeps_all:
            await self._delete(source, {*wanted.certificates, *wanted.kept}, "it no longer names the Secret")

    async def _delete(self, source: Source, kept: Collection[str], why: str) -> None:
        """Delete the Certificates of an object but for those of these names. Their Secrets stay."""
        for certificate in self._controlled_by(source):
            name = certificate.metadata.name
            if name in kept or certificate.metadata.deletion_timestamp is not None:
                continue
            if await self._api.delete(certificate.metadata):
                message = f"Deleted the Certificate {name}: {why}. The Secret {certificate.spec.secret_name} is kept"
                self._record(source, "Normal", "DeleteCertificate", message)

    def _stop_waiting(self, key: Key) -> None:
        for place in self._waits_for.pop(key, ()):
            self._waiting[place].discard(key)
            if not self._waiting[place]:
                del self._waiting[place]

    def _tell(self, source: Source, refusals: Collection[tuple[Reason, str]]) -> None:
        """Tell refusals by Events, each once for as long as it lasts, and not too many: Events are for all objects."""
        more = len(refusals) - MAX_REFUSALS
        refusals = list(refusals)[:MAX_REFUSALS]
        if more > 0:
            refusals.append(
                ("BadConfig", "This object has more problems; the operator reports them once these are corrected.")
            )
        for reason, message in self._told.news(source.key, refusals):
            self._warn(source, reason, message)

    def _warn(self, source: Source, reason: Reason, message: str) -> None:
        logger.warning("%s: %s: %s", source.key, reason, message)
        self._record(source, "Warning", reason, message)

    def _record(self, source: Source, kind: Any, reason: Reason, message: str) -> None:
        self._recorder.record(source.subject, kind, reason, message)


def _on_trial(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a manifest that leaves the key of a Certificate on trial to the migration: cert-manager knows that key."""
    return {**manifest, "spec": {name: value for name, value in manifest["spec"].items() if name != "privateKey"}}


def _sharing(present: Certificate, manifest: Mapping[str, Any]) -> tuple[Reason, str] | None:
    """Return what to tell of a Certificate that is not this object's; None if it serves as well."""
    name, owner = present.metadata.name, present.metadata.controller
    whose = printable(f"{owner.kind} {owner.name}") if owner is not None else ""
    if owner is None or owner.kind not in KINDS:
        why = f"belongs to the {whose}" if whose else "was created by something else"
        message = (
            f"The Certificate {name} {why}, so it is left as it is. Name another Secret for this object, or delete it."
        )
        return "CertificateNotOurs", message
    asked = Certificate.parse(manifest).spec
    missing = sorted(set(asked.dns_names) - set(present.spec.dns_names))
    if missing:
        message = (
            f"The Secret {name} is that of the {whose} too, whose Certificate applies but lacks {listed(missing)}. "
            "Give this object a Secret of its own, or add the names there."
        )
        return "SecretShared", message
    if asked.issuer_ref != present.spec.issuer_ref:
        message = (
            f"The Secret {name} is that of the {whose} too, whose Certificate applies but names another issuer. Give "
            "this object a Secret of its own, or name the same issuer in both."
        )
        return "SecretShared", message
    return None


def _refused(name: str, error: Invalid | Forbidden) -> tuple[tuple[Reason, str] | None, Result | None]:
    """Return what to tell of a Certificate that the API server refuses, and when to try again.

    Raises:
        Forbidden: It is not the Certificate that is refused, but whoever asks.
    """
    if isinstance(error, Forbidden):
        if error.is_for_going_namespace:
            return None, None
        if error.status == HTTPStatus.UNAUTHORIZED:
            raise error
    what_to_do = advice(error)
    message = f"The Certificate {name} is refused: {printable(error.message)}" + (
        f". {what_to_do}" if what_to_do else ""
    )
    return ("BadConfig", message), Result.again_in(REFUSED_SECONDS)


def _contested(name: str) -> tuple[Reason, str]:
    message = (
        f"The Certificate {name} is changed or deleted again and again, by something else or because an annotation "
        "comes and goes. Certwright restores it less and less often. Its metadata.managedFields, or the audit log, "
        "shows who."
    )
    return "CertificateContested", message


def _not_taken(gateway: tuple[str, str]) -> tuple[Reason, str]:
    what = Refusal.of("spec.parentRef", "/".join(gateway), "takes no ListenerSets of this namespace")
    return "BadConfig", f"{what}: name an issuer in an annotation here, or allow it in spec.allowedListeners there."
