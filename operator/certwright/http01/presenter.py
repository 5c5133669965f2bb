"""The http-01 presenter of one order: creates the pod and its route, checks the files, and removes everything."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from certwright.challenges.presenter import PresentedObject
from certwright.challenges.response import FileResponse
from certwright.concurrency import gather_all
from certwright.http01 import manifests, routes
from certwright.http01.diagnosis import (
    AGAIN,
    controller_trouble,
    pod_must_be_made_again,
    pod_trouble,
    route_trouble,
)
from certwright.http01.editing import add_rules, read_ingress, restore_rules
from certwright.http01.policies import policy_trouble
from certwright.http01.removal import remove
from certwright.http01.self_check import HttpSighting, SelfCheck
from certwright.http01.settings import (
    GatewayRoute,
    IngressRoute,
    Owner,
    PodSettings,
    Settings,
    SharedSettings,
    object_name,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from certwright.acme import Challenge
    from certwright.challenges.holders import Holders
    from certwright.challenges.presenter import ObjectKind, SelfCheckMode
    from certwright.challenges.response import ChallengeResponse
    from certwright.http01.objects import Objects

FIRST_DIAGNOSIS_SECONDS: Final = 4.0
"""A pod and a route need no longer when all is well, and no Event reports a cause before five seconds."""
LONGEST_DIAGNOSIS_SECONDS: Final = 10.0
"""The longest pause between two; the first is as long as it took until the first diagnosis."""

RESTORE_SECONDS: Final = 2.0
"""Between two looks whether an edited Ingress still has our rules, while a file is missing."""
SETTLING_SECONDS: Final = 5.0
"""Without a self-check: an ingress controller needs a while to take up a change of its routes, Traefik two seconds."""


class Looks(Protocol):
    """Looks for what a CA will look for, as `SelfCheck` does."""

    async def look(self, files: Sequence[FileResponse], /) -> list[HttpSighting]:
        """Look once for each; never an error."""
        ...


class Http01Presenter:
    """Answers the http-01 challenges of one order: one pod (or none), one Service and one route for all its names.

    Args:
        objects: The API server.
        owner: The Certificate.
        settings: What answers, and the route to it.
        patience: How long the files are looked for.
        answers: The operator's own responder.
        self_check: Looks for the files.
        monotonic: The clock, in seconds.
    """

    challenge_type: ClassVar[str] = "http-01"
    destination: Final = ""

    def __init__(
        self,
        objects: Objects,
        owner: Owner,
        settings: Settings,
        *,
        patience: dt.timedelta,
        answers: Holders[FileResponse],
        self_check: Looks | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._owner = owner
        self._settings = settings
        self.patience = patience
        if settings.self_check == "off":
            self.patience += dt.timedelta(seconds=SETTLING_SECONDS)
        self._answers = answers
        self._self_check: Looks = self_check or SelfCheck(
            port=settings.check_port,
            nameservers=settings.nameservers,
            every_address=settings.every_address,
            addresses=settings.addresses,
        )
        self._monotonic = monotonic
        self._next_diagnosis = 0.0
        self._diagnosis_pause = self._first_diagnosis()
        self._looking = asyncio.Lock()
        self._ingress_seen = False
        self._trouble = ""
        self._taken_out = ""
        self._next_restore = 0.0
        self._settled_at: float | None = None
        self._made_service: Mapping[str, Any] = {}

    @property
    def self_check(self) -> SelfCheckMode:
        """Whether the files must be seen before the CA is asked."""
        return self._settings.self_check

    @property
    def settling(self) -> dt.timedelta:
        """Nothing is waited for before the first look, which also finds out why a pod does not start."""
        return dt.timedelta()

    async def place(self, name: str) -> str:
        """Return the host that the CA asks.

        Raises:
            SolverError: The Ingress that is to be edited does not exist.
            KubeError: The API server cannot be asked for it.
        """
        edit = self._settings.route.edit if isinstance(self._settings.route, IngressRoute) else None
        if edit is not None:
            async with self._looking:  # all names ask at the same time
                if not self._ingress_seen:
                    await read_ingress(self._objects, self._owner.namespace, edit)
                    self._ingress_seen = True
        return name

    async def expect(self, names: Sequence[str]) -> None:
        """Nothing has to be there before an order."""

    def respond(self, name: str, place: str, challenge: Challenge, key_authorization: str) -> ChallengeResponse:  # noqa: ARG002 - the protocol's form
        """Return the file."""
        return FileResponse(place, challenge.token or "", key_authorization)

    def objects_for(self, responses: Sequence[ChallengeResponse]) -> tuple[PresentedObject, ...]:
        """Return what `present` makes for these files, to be written down before."""
        files = files_of(responses)
        name = object_name(self._owner, files, self._settings)
        answering: ObjectKind = "Pod" if isinstance(self._settings.responder, PodSettings) else "EndpointSlice"
        return (
            PresentedObject(answering, name),
            PresentedObject("Service", name),
            *(PresentedObject(kind, route, edited=edited) for kind, route, edited in self._routes(name, files)),
        )

    async def present(self, responses: Sequence[ChallengeResponse]) -> None:
        """Make everything at once; what is there already stays as it is.

        Raises:
            KubeError: The API server refused something.
            SolverError: The Ingress to be edited does not exist.
        """
        files = files_of(responses)
        name = object_name(self._owner, files, self._settings)
        owner, settings = self._owner, self._settings
        calls: list[Awaitable[object]] = [self._make_service(name)]
        if isinstance(settings.responder, SharedSettings):
            await self._answers.hold(owner.uid, files)
        else:
            calls.append(self._objects.create(self._pod(name, files, settings.responder)))
        edit = settings.route.edit if isinstance(settings.route, IngressRoute) else None
        if isinstance(settings.route, IngressRoute) and edit is not None:
            path_type = settings.route.path_type
            calls.append(add_rules(self._objects, owner.namespace, edit, files, service=name, path_type=path_type))
        else:
            calls += [self._objects.apply(manifest) for _, manifest in self._route_manifests(name, files)]
        self._diagnosis_pause = self._first_diagnosis()
        self._next_diagnosis = self._monotonic() + self._diagnosis_pause
        self._trouble = ""
        self._taken_out = ""
        self._settled_at = None
        await gather_all(calls)

    async def check(self, responses: Sequence[ChallengeResponse]) -> tuple[HttpSighting, ...]:
        """Ask for every file once; if one is missing for longer than usual, find out why. Raises `KubeError`."""
        files = files_of(responses)
        if self._settings.self_check == "off":
            return await self._settle(files)
        seen = await self._self_check.look(list(files))
        missing = [sighting for sighting in seen if not sighting.complete]
        if missing:
            await self._restore(files)
        if missing and self._monotonic() >= self._next_diagnosis:
            self._next_diagnosis = self._monotonic() + self._diagnosis_pause
            self._diagnosis_pause = min(self._diagnosis_pause * 1.5, LONGEST_DIAGNOSIS_SECONDS)
            self._trouble = await self._diagnose(files, missing)
        cause = "; ".join(filter(None, (self._taken_out, self._trouble)))
        return tuple(one if one.complete else replace(one, cause=cause) for one in seen)

    async def clean_up(self, responses: Sequence[ChallengeResponse]) -> None:
        """Remove what `present` made for these files. Raises `KubeError`."""
        made = self.objects_for(responses)
        await remove(self._objects, self._answers, self._owner, made, files_of(responses))

    async def _make_service(self, name: str) -> bool:
        """Make the Service and what belongs to it, or leave them as they are; tell whether it is another one now."""
        before, responder = self._made_service.get("metadata"), self._settings.responder
        calls = [self._objects.apply(self._service(name))]
        if isinstance(responder, SharedSettings):
            calls.append(self._objects.apply(self._endpoint_slice(name, responder)))
        self._made_service, *_ = await gather_all(calls)
        return before is not None and before.get("uid") != self._made_service["metadata"].get("uid")

    def _service(self, name: str) -> manifests.Manifest:
        settings = self._settings
        of_pod = isinstance(settings.responder, PodSettings)
        return manifests.service(self._owner, name, service_type=settings.service_type, of_pod=of_pod)

    def _pod(self, name: str, files: Sequence[FileResponse], settings: PodSettings) -> manifests.Manifest:
        return manifests.pod(self._owner, name, files, settings)

    def _endpoint_slice(self, name: str, settings: SharedSettings) -> manifests.Manifest:
        return manifests.endpoint_slice(self._owner, name, settings)

    def _route_manifests(self, name: str, files: Sequence[FileResponse]) -> list[tuple[str, manifests.Manifest]]:
        route = self._settings.route
        if isinstance(route, GatewayRoute):
            return routes.http_routes(self._owner, name, files, route)
        if isinstance(route, IngressRoute):
            return [(name, routes.ingress(self._owner, name, files, route))]
        raise AssertionError("http-01 was given a route of tls-alpn-01")

    async def _restore(self, files: Sequence[FileResponse]) -> None:
        """Put our rules into an edited Ingress again if its owner, or what deploys it, has written his own back."""
        route, now = self._settings.route, self._monotonic()
        if not isinstance(route, IngressRoute) or route.edit is None or now < self._next_restore:
            return
        self._next_restore = now + RESTORE_SECONDS
        namespace, name = self._owner.namespace, object_name(self._owner, files, self._settings)
        manager = await restore_rules(
            self._objects, namespace, route.edit, files, service=name, path_type=route.path_type
        )
        if manager is not None:
            who = f"the field manager {manager}" if manager else "another client"
            self._taken_out = (
                f"{who} wrote the rules of the Ingress {namespace}/{route.edit} without those for the challenge; they "
                "were added again"
            )

    def _first_diagnosis(self) -> float:
        """After how many seconds; early enough for the failure at the end to have a cause."""
        return min(FIRST_DIAGNOSIS_SECONDS, self.patience.total_seconds() / 2)

    def _routes(self, name: str, files: Sequence[FileResponse]) -> list[tuple[ObjectKind, str, bool]]:
        route = self._settings.route
        if isinstance(route, IngressRoute):
            return [("Ingress", route.edit or name, route.edit is not None)]
        return [("HTTPRoute", own, False) for own, _ in self._route_manifests(name, files)]

    async def _settle(self, files: Sequence[FileResponse]) -> tuple[HttpSighting, ...]:
        """Without a look at the files: wait until the pod runs, and then for as long as its route may need."""
        trouble, responder = "", self._settings.responder
        if self._settled_at is None:
            name = object_name(self._owner, files, self._settings)
            if isinstance(responder, PodSettings):
                trouble = await self._pod_trouble(name, files, responder)
            trouble = trouble or await self._service_trouble(name)
            if not trouble:
                self._settled_at = self._monotonic() + SETTLING_SECONDS
        complete = self._settled_at is not None and self._monotonic() >= self._settled_at
        seen = "not checked, because selfCheck is off"
        if not complete and not trouble:
            seen += f"; waiting {SETTLING_SECONDS:g} s for the ingress controller to pick up the route"
        return tuple(HttpSighting(one, complete=complete, seen=seen, cause=trouble) for one in files)

    async def _diagnose(self, files: Sequence[FileResponse], missing: Sequence[HttpSighting]) -> str:
        owner, settings = self._owner, self._settings
        name = object_name(owner, files, settings)
        of_pod = isinstance(settings.responder, PodSettings)
        if isinstance(settings.responder, PodSettings):
            trouble = await self._pod_trouble(name, files, settings.responder)
            if trouble:
                return trouble
        route_names = [route for _, route, _ in self._routes(name, files)]
        trouble = await self._route_trouble(route_names)
        if trouble.endswith(AGAIN):
            await gather_all(self._objects.apply(manifest) for _, manifest in self._route_manifests(name, files))
        if trouble:
            return trouble
        if await self._make_service(name):
            return f"the Service {name} of the solver was gone; the operator has created it again"
        if of_pod:
            labels = manifests.metadata(owner, name, labels=_template_labels(settings))["labels"]
            statuses = [sighting.status for sighting in missing]
            if trouble := await policy_trouble(self._objects, owner, labels, statuses):
                return trouble
        return await self._controller_trouble(route_names, missing)

    async def _service_trouble(self, name: str) -> str:  # noqa: ARG002 - for those whose Service is the route
        """Say why the Service cannot be reached yet, without a look from outside."""
        return ""

    async def _route_trouble(self, names: Sequence[str]) -> str:
        route = self._settings.route
        if isinstance(route, IngressRoute | GatewayRoute):
            return await route_trouble(self._objects, self._owner, names, route)
        raise AssertionError("http-01 was given a route of tls-alpn-01")

    async def _controller_trouble(self, names: Sequence[str], missing: Sequence[HttpSighting]) -> str:
        route = self._settings.route
        if not isinstance(route, IngressRoute | GatewayRoute):
            return ""
        return await controller_trouble(self._objects, self._owner, names[0], route, missing)

    async def _pod_trouble(self, name: str, files: Sequence[FileResponse], settings: PodSettings) -> str:
        pod = await self._objects.read("Pod", self._owner.namespace, name)
        trouble = pod_trouble(pod)
        if pod_must_be_made_again(pod):
            if pod is not None:
                await self._objects.delete("Pod", self._owner.namespace, name)
            await self._objects.create(self._pod(name, files, settings))
        return trouble


def shared_look_up(answers: Holders[FileResponse]) -> Callable[[str, str], str | None]:
    """Return what the operator's own responder asks for a host and a token: it answers for every order at once."""

    def look_up(host: str, token: str) -> str | None:
        held = answers.at(FileResponse(host, token, "").location)
        return held[0].key_authorization if held else None

    return look_up


def files_of(responses: Iterable[ChallengeResponse]) -> list[FileResponse]:
    """Return the responses, all of which must be files."""
    listed = list(responses)
    files = [response for response in listed if isinstance(response, FileResponse)]
    if len(files) < len(listed):
        raise AssertionError("an http-01 solver was given what is no file")
    return files


def _template_labels(settings: Settings) -> dict[str, str]:
    template = settings.responder.template if isinstance(settings.responder, PodSettings) else {}
    return dict((template.get("metadata") or {}).get("labels") or {})
