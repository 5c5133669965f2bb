"""Reconciles cert-manager's Certificates and issuers: applies our objects, and writes their status.

The translation is compared with our objects, and the expected status with the actual one, so nothing is written if
nothing changed. While cert-manager's own controller runs, nothing is written in any case.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final, cast

from certwright.cert_manager.api import MOVED
from certwright.issuers.solver_choice import selected_labels
from certwright.kube.contest import Contest
from certwright.kube.errors import Conflict, Forbidden, Invalid, NotFound
from certwright.kube.owned import Applied, Told, digest
from certwright.kube.store import Store
from certwright.mirror.certificate_status import FIELDS as CERTIFICATE_FIELDS
from certwright.mirror.certificate_status import Served, certificate_status
from certwright.mirror.issuer_status import FIELDS as ISSUER_FIELDS
from certwright.mirror.issuer_status import issuer_status
from certwright.mirror.objects import OURS, THEIR_CERTIFICATES, THEIR_CLUSTER_ISSUERS, THEIR_ISSUERS, Mirrored
from certwright.mirror.renewals import Trigger, renewal_of
from certwright.resources import Certificate, ClusterIssuer, Issuer
from certwright.runtime.key import Key
from certwright.runtime.result import Result
from certwright.text import printable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Mapping

    from certwright.certificates.store import Certificates
    from certwright.kube.cert_manager import IsLive
    from certwright.kube.events import EventRecorder
    from certwright.kube.resource import Resource
    from certwright.mirror.options import Options
    from certwright.mirror.requests import MirrorApi
    from certwright.reasons import Reason
    from certwright.resources.object import OwnerReference

    SecretFactsStore = Store[Any]
    Ours = Certificate | Issuer | ClusterIssuer

logger = logging.getLogger(__name__)

HELD_SECONDS: Final = 60.0
"""Between looks at whether cert-manager still runs."""
TAKEN_SECONDS: Final = 2.0
"""After an object was changed by another at the same time."""
QUIET_SECONDS: Final = 5.0
"""What changes in words only is written no oftener than this: most issuances are done by then."""
SETTLING_SECONDS: Final = 60.0
"""After the start, until what is not known to be annotated is not."""
FREE_WRITES: Final = 3
"""Times that the same status is written again at once after something else has changed it."""
CALM_SECONDS: Final = 600.0
"""After which a status counts as agreed on."""
HELD_MESSAGE: Final = (
    "The controller of cert-manager is running in the cluster, so Certwright leaves this object to it, and writes no "
    "status. Stop cert-manager, or set certManager.serveObjects.enabled to false."
)


class MirrorReconciler:
    """Serves objects of cert-manager.

    Args:
        api: Writes.
        certificates: Ours that the operator watches.
        secrets: What is known of Secrets.
        issuers: Ours.
        cluster_issuers: Ours.
        recorder: For Events on theirs.
        is_cert_manager_live: Whether cert-manager's controller runs in the cluster.
        options: How it works.
        is_annotated: Whether an object in a namespace gets its Certificates for its annotations, by us: then those that
            cert-manager has made for it are only reported on. None if annotations of cert-manager do not count.
        clock: The present time.
        seconds: A clock that never goes back.

    Attributes:
        stores: Their objects, by kind.
    """

    def __init__(
        self,
        api: MirrorApi,
        *,
        certificates: Certificates,
        secrets: SecretFactsStore,
        issuers: Store[Issuer],
        cluster_issuers: Store[ClusterIssuer],
        recorder: EventRecorder,
        is_cert_manager_live: IsLive,
        options: Options,
        is_annotated: Callable[[str, OwnerReference], bool] | None,
        clock: Callable[[], dt.datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._certificates = certificates
        self._secrets = secrets
        self._recorder = recorder
        self._is_cert_manager_live = is_cert_manager_live
        self._flags = options.flags
        self._is_annotated = is_annotated
        self._clock = clock
        self._seconds = seconds
        self._ours: Mapping[Resource, Store[Any]] = {
            THEIR_CERTIFICATES: certificates.store,
            THEIR_ISSUERS: issuers,
            THEIR_CLUSTER_ISSUERS: cluster_issuers,
        }
        self.stores: Mapping[str, Store[Mirrored]] = {one.key_kind: Store() for one in OURS}
        self._applied = Applied()
        self._told: Told[tuple[Reason, str]] = Told()
        self._written = Contest[Key](seconds, free_writes=FREE_WRITES, calm_seconds=CALM_SECONDS)
        self._brought = Contest[Key](seconds, free_writes=FREE_WRITES, calm_seconds=CALM_SECONDS)
        self._is_held = False
        self._looked_at: set[Key] = set()
        self._begun = seconds()

    def parse(self, resource: Resource, body: Mapping[str, Any]) -> Mirrored:
        """Take in an object of theirs; what cannot be read for a reason that nobody foresaw ends no watch."""
        try:
            return Mirrored.of(resource, body, self._flags)
        except Exception:
            logger.exception("%s: unexpected error in reading it; it is not served", resource.key(body["metadata"]))
            return Mirrored.unreadable(resource, body)

    def served(self) -> Iterable[Mirrored]:
        """Return the objects of theirs that this process looks after, as last seen. It may be called in a thread."""
        # A copy, made at once: looks go on meanwhile.
        for key in () if self._is_held else list(self._looked_at):
            if (found := self.stores[key.kind].get(key.namespace, key.name)) is not None:
                yield found

    async def reconcile(self, key: Key) -> Result:
        """Serve one object, and report on it.

        Raises:
            KubeError: The API server cannot be asked, or refuses.
        """
        theirs = self.stores[key.kind].get(key.namespace, key.name)
        if theirs is None:
            # Ours goes with it: Kubernetes collects what it owned.
            self._told.forget(key)
            self._written.forget(key)
            self._brought.forget(key)
            self._looked_at.discard(key)
            return Result.ON_EVENT
        if theirs.is_going:
            return Result.ON_EVENT
        if await self._is_left_to_cert_manager(theirs):
            return Result.again_in(HELD_SECONDS)
        self._looked_at.add(key)
        refusal, result = await self._bring(theirs)
        self._tell(theirs, refusal)
        trigger = Trigger()
        if theirs.resource == THEIR_CERTIFICATES and refusal is None:
            trigger = renewal_of(theirs, self._ours_of(theirs), self._clock())
            if trigger.request is not None and not await self._ask(theirs, trigger.request):
                return Result.again_in(TAKEN_SECONDS)
        reported = await self._report(theirs, refusal, is_triggered=trigger.is_pending)
        return reported if result.after is None else result

    def wakes(self, before: Ours | None, after: Ours | None) -> Iterable[Key]:
        """Return the keys of theirs to look at because one of ours came, changed or went."""
        known = after or before
        if known is None:
            return
        resource = next(one for one, ours in OURS.items() if ours.kind == known.KIND)
        namespace = known.metadata.namespace or ""
        key = Key(resource.key_kind, namespace, known.metadata.name)
        if after is None:
            self._applied.forget(key)
        if self.stores[key.kind].get(namespace, key.name) is not None:
            yield key
        if not isinstance(known, Certificate) and _generation(before) != _generation(after):
            # Its solvers say which labels their Certificates need.
            for one in self._certificates.of_issuer(Key(known.KIND, namespace, known.metadata.name)):
                if self.stores[THEIR_CERTIFICATES.key_kind].get(one.namespace, one.name) is not None:
                    yield Key(THEIR_CERTIFICATES.key_kind, one.namespace, one.name)

    def of_issuer(self, issuer: Mirrored) -> Iterable[Key]:
        """Return the keys of the Certificates of theirs that name an issuer of theirs."""
        for one in self.stores[THEIR_CERTIFICATES.key_kind]:
            in_reach = issuer.namespace in {"", one.namespace}
            if in_reach and one.issuer == (issuer.resource.kind, issuer.name):
                yield Key(THEIR_CERTIFICATES.key_kind, one.namespace, one.name)

    async def _is_left_to_cert_manager(self, theirs: Mirrored) -> bool:
        is_held = await self._is_cert_manager_live(creating=self._ours_of(theirs) is None)
        if is_held != self._is_held:
            self._is_held = is_held
            if is_held:
                logger.warning("cert-manager's controller runs: its objects are left to it")
            else:
                logger.info("cert-manager's controller does not run: its objects are served")
        if is_held:
            for reason, message in self._told.news(theirs.key, [("LeftToCertManager", HELD_MESSAGE)]):
                self._record(theirs, "Normal", reason, message)
        return is_held

    def _ours_of(self, theirs: Mirrored) -> Any:
        """Return the object of ours that has the name of theirs, or None."""
        return self._ours[theirs.resource].get(theirs.namespace, theirs.name)

    async def _bring(self, theirs: Mirrored) -> tuple[tuple[Reason, str] | None, Result]:
        """Apply ours if it is not as it should be; return why not, and when to look again."""
        if theirs.manifest is None:
            return (_refused(theirs), f"Not served by Certwright: {theirs.refusal}."), Result.ON_EVENT
        if problem := self._issuer_problem(theirs):
            return ("InvalidSpec", problem), Result.ON_EVENT
        present = self._ours_of(theirs)
        if present is not None and not theirs.owns(present):
            return (None if _serves(present, theirs) else _not_ours(present, theirs)), Result.ON_EVENT
        if present is None and self._is_annotated is not None and theirs.controller is not None:
            if self._is_annotated(theirs.namespace, theirs.controller):
                # The one for the annotations comes from elsewhere.
                return None, Result.ON_EVENT
            if (rest := self._begun + SETTLING_SECONDS - self._seconds()) > 0:
                # The list of what is annotated may still be on its way.
                return None, Result.again_in(rest)
        manifest = self._api.completed(self._manifest(theirs, theirs.manifest))
        if self._applied.is_unchanged(theirs.key, present, manifest):
            return None, Result.ON_EVENT
        if (pause := self._brought.pause(theirs.key, digest(manifest))) > 0:
            return None, Result.again_in(pause)
        return await self._apply(theirs, present, manifest)

    async def _apply(
        self, theirs: Mirrored, present: Ours | None, manifest: Mapping[str, Any]
    ) -> tuple[tuple[Reason, str] | None, Result]:
        """Write ours; return why it is refused, and when to look again."""
        key, said = theirs.key, digest(manifest)
        uid = present.metadata.uid if present is not None else None
        try:
            written = await self._api.apply(OURS[theirs.resource], manifest, uid=uid)
        except Conflict as error:
            logger.info("%s: %s; looking again", key, error)
            return None, Result.again_in(TAKEN_SECONDS)
        except (Invalid, Forbidden) as error:
            # A policy or a quota may be changed, which nobody tells.
            return (_refused(theirs), f"Not served by Certwright: {error.message}"), Result.again_in(HELD_SECONDS)
        self._applied.note(key, manifest, written["metadata"])
        self._brought.note(key, said)
        if self._brought.is_contested(key, said) and self._brought.is_news(key):
            kind, name = theirs.resource.kind, theirs.name
            message = (
                f"Something else keeps changing or deleting the {kind} {name} of Certwright (certwright.io). "
                "Certwright restores it less and less often. Its metadata.managedFields, or the API server's audit "
                "log, shows who."
            )
            self._contested(theirs, "CertificateContested" if kind == "Certificate" else "IssuerContested", message)
        if present is None:
            logger.info("%s is served by the %s of ours of the same name", key, theirs.resource.kind)
        return None, Result.ON_EVENT

    def _issuer_problem(self, theirs: Mirrored) -> str:
        """Return that the issuer of a Certificate has no ACME; empty if it has, or is not known."""
        if theirs.issuer is None:
            return ""
        kind, name = theirs.issuer
        resource = THEIR_ISSUERS if kind == "Issuer" else THEIR_CLUSTER_ISSUERS
        found = self.stores[resource.key_kind].get(theirs.namespace if kind == "Issuer" else "", name)
        if found is None or found.has_acme:
            return ""
        return f"Not served by Certwright: spec.issuerRef: the {kind} {name} of cert-manager is not an ACME issuer."

    def _manifest(self, theirs: Mirrored, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Return ours, owned by theirs, with the labels that solvers of its issuer select by."""
        metadata = {**manifest["metadata"], "ownerReferences": [theirs.reference]}
        if theirs.issuer is not None:
            kind, name = theirs.issuer
            resource = THEIR_ISSUERS if kind == "Issuer" else THEIR_CLUSTER_ISSUERS
            issuer = self._ours[resource].get(theirs.namespace if kind == "Issuer" else "", name)
            selected = selected_labels(issuer.spec.acme) if issuer is not None else set()
            if labels := {key: value for key, value in theirs.labels.items() if key in selected}:
                metadata["labels"] = labels
        return {**manifest, "metadata": metadata}

    async def _ask(self, theirs: Mirrored, request: Mapping[str, Any]) -> bool:
        """Request a renewal of ours; tell whether that was taken."""
        ours = cast("Certificate", self._ours_of(theirs))
        try:
            await self._api.request(ours.metadata, request)
        except (Conflict, NotFound) as error:
            logger.info("%s; looking again", error)
            return False
        self._record(theirs, "Normal", "RenewalRequested", "A renewal was requested by the condition Issuing.")
        return True

    async def _report(self, theirs: Mirrored, refusal: tuple[Reason, str] | None, *, is_triggered: bool) -> Result:
        """Write the status of theirs if it says something else than it should; return when to look again."""
        key, ours = theirs.key, self._ours_of(theirs)
        if refusal is None and ours is not None and not self._applied.is_seen(key, ours.metadata):
            # What is known of ours is about the spec before; the watch brings the rest in a moment.
            return Result.ON_EVENT
        wanted, fields = self._status(theirs, refusal, is_triggered=is_triggered), _fields(theirs)
        change = _change(theirs.status, wanted, fields)
        if not change:
            return Result.ON_EVENT
        said = digest({"status": _weight(wanted)})
        in_words_only = _weight(theirs.status) == _weight(wanted)
        since = self._written.since(key)
        pause = QUIET_SECONDS - since if in_words_only and since is not None else self._written.pause(key, said)
        if pause > 0:
            return Result.again_in(pause)
        try:
            body = await self._api.write_status(theirs, change)
        except NotFound:
            return Result.ON_EVENT
        except Conflict:
            # It was changed a moment ago; the watch brings it.
            return Result.again_in(TAKEN_SECONDS)
        self._written.note(key, said, counts=not in_words_only)
        if self._written.is_contested(key, said) and self._written.is_news(key):
            message = (
                "Something else keeps changing the status of this object. Certwright corrects it less and less often."
            )
            self._contested(theirs, "StatusContested", message)
        self.stores[key.kind].put(body["metadata"], self.parse(theirs.resource, body))
        return Result.ON_EVENT

    def _status(self, theirs: Mirrored, refusal: tuple[Reason, str] | None, *, is_triggered: bool) -> dict[str, Any]:
        ours, now = self._ours_of(theirs), self._clock()
        if ours is not None and not _serves(ours, theirs):
            ours = None
        if theirs.resource != THEIR_CERTIFICATES:
            return issuer_status(theirs.status, ours, now, generation=theirs.generation, refusal=refusal)
        name = ours.spec.secret_name if ours is not None else None
        secret = self._secrets.get(theirs.namespace, name) if name is not None else None
        served = Served(theirs.generation, ours, secret, refusal, is_triggered=is_triggered)
        return certificate_status(theirs.status, served, now)

    def _contested(self, theirs: Mirrored, reason: Reason, message: str) -> None:
        logger.warning("%s: %s: %s", theirs.key, reason, message)
        self._record(theirs, "Warning", reason, message)

    def _tell(self, theirs: Mirrored, refusal: tuple[Reason, str] | None) -> None:
        """Tell by Events why an object is not served, or what of it is not; each once for as long as it holds."""
        said: list[tuple[Reason, str]] = [] if refusal is None else [refusal]
        if refusal is None:
            said += [("NotCarriedOver", f"{one}.") for one in theirs.changes]
        for reason, message in self._told.news(theirs.key, said):
            logger.warning("%s: %s: %s", theirs.key, reason, message)
            self._record(theirs, "Warning", reason, message)

    def _record(self, theirs: Mirrored, kind: Any, reason: Reason, message: str) -> None:
        self._recorder.record(theirs.subject, kind, reason, message)


def _refused(theirs: Mirrored) -> Reason:
    return "InvalidSpec" if theirs.resource == THEIR_CERTIFICATES else "InvalidConfig"


def _serves(ours: Ours, theirs: Mirrored) -> bool:
    """Whether an object of ours serves one of theirs.

    It is theirs, or the migration made it for theirs, or both are for the annotations of the same object.
    """
    if theirs.owns(ours) or ours.metadata.annotations.get(MOVED) == theirs.uid:
        return True
    owner = ours.metadata.controller
    return owner is not None and theirs.controller is not None and owner.uid == theirs.controller.uid


def _not_ours(present: Ours, theirs: Mirrored) -> tuple[Reason, str]:
    owner = present.metadata.controller
    whose = (
        f"belongs to the {printable(f'{owner.kind} {owner.name}')}"
        if owner is not None
        else ("was created by something else")
    )
    kind = theirs.resource.kind
    message = (
        f"The {kind} {theirs.name} of Certwright (certwright.io) {whose}, so it is left as it is, and this {kind} of "
        "cert-manager is not served. Delete or rename one of them."
    )
    return ("CertificateNotOurs" if theirs.resource == THEIR_CERTIFICATES else "IssuerNotOurs"), message


def _generation(found: Ours | None) -> tuple[str, int] | None:
    return None if found is None else (found.metadata.uid, found.metadata.generation)


def _fields(theirs: Mirrored) -> tuple[str, ...]:
    return CERTIFICATE_FIELDS if theirs.resource == THEIR_CERTIFICATES else ISSUER_FIELDS


def _change(present: Mapping[str, Any], wanted: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """Return the merge patch from one status to another; what is in it but none of our fields stays."""
    change: dict[str, Any] = {}
    for name in fields:
        was, should = present.get(name), wanted.get(name)
        if was == should:
            continue
        if isinstance(was, dict) and isinstance(should, dict):
            should = {**dict.fromkeys(was, None), **should}
        change[name] = should
    return change


def _weight(status: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is worth a write at once: not the words, nor the key of an order that is done in a moment."""
    conditions = [
        {key: one.get(key) for key in ("type", "status", "reason", "observedGeneration")}
        for one in status.get("conditions") or ()
    ]
    kept = {name: value for name, value in status.items() if name not in {"conditions", "nextPrivateKeySecretName"}}
    return {**kept, "conditions": conditions}
