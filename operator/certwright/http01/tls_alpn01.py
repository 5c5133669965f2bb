"""The tls-alpn-01 presenter of one order: like http-01, with a handshake instead of a file."""

from __future__ import annotations

import ipaddress
import logging
from typing import TYPE_CHECKING, Any, ClassVar

from certwright.acme import tls_alpn01_server_name
from certwright.challenges.response import TlsAlpnResponse
from certwright.challenges.tls_responder import identifier_of
from certwright.http01 import manifests
from certwright.http01.diagnosis import has_load_balancer, load_balancer_trouble, tls_route_trouble
from certwright.http01.errors import SolverError
from certwright.http01.presenter import Http01Presenter, files_of
from certwright.http01.program import PORT
from certwright.http01.routes import MAX_HOSTNAMES
from certwright.http01.settings import OwnService, PodSettings, SharedSettings, TlsRoute
from certwright.http01.tls_check import OTHER_CHALLENGE, TlsSelfCheck
from certwright.kube.resource import TLS_ROUTES
from certwright.text import listed

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence

    from certwright.acme import Challenge
    from certwright.challenges.holders import Holders
    from certwright.challenges.presenter import ObjectKind
    from certwright.challenges.response import ChallengeResponse, FileResponse
    from certwright.http01.manifests import Manifest
    from certwright.http01.objects import Objects
    from certwright.http01.self_check import HttpSighting
    from certwright.http01.server_names import ServerNames
    from certwright.http01.settings import Owner, Settings

logger = logging.getLogger(__name__)


class TlsAlpn01Presenter(Http01Presenter):
    """Answers the tls-alpn-01 challenges of one order: one pod (or none), one Service, and TLSRoutes where needed.

    Args:
        objects: The API server.
        owner: The Certificate.
        settings: What answers, and the route to it.
        patience: How long the handshake is tried.
        answers: The operator's own responder.
        names: For whom it answers.
    """

    challenge_type: ClassVar[str] = "tls-alpn-01"

    def __init__(
        self,
        objects: Objects,
        owner: Owner,
        settings: Settings,
        *,
        patience: dt.timedelta,
        answers: Holders[FileResponse],
        names: ServerNames,
        **options: Any,
    ) -> None:
        check = TlsSelfCheck(
            port=settings.check_port,
            nameservers=settings.nameservers,
            every_address=settings.every_address,
            addresses=settings.addresses,
        )
        super().__init__(objects, owner, settings, patience=patience, answers=answers, self_check=check, **options)
        self._names = names

    def respond(self, name: str, place: str, challenge: Challenge, key_authorization: str) -> ChallengeResponse:  # noqa: ARG002 - the protocol's form
        """Return what the handshake has to show."""
        return TlsAlpnResponse(place, challenge.token or "", key_authorization)

    async def present(self, responses: Sequence[ChallengeResponse]) -> None:
        """Make everything at once; what is there already stays as it is.

        Raises:
            KubeError: The API server refused something.
            SolverError: The operator's own responder answers for others for one of the names.
        """
        if isinstance(self._settings.responder, SharedSettings):
            await self._claim(responses)
        await super().present(responses)

    async def clean_up(self, responses: Sequence[ChallengeResponse]) -> None:
        """Remove what `present` made for these responses. Raises `KubeError`."""
        await super().clean_up(responses)
        self._names.release(self._owner.uid)

    async def _claim(self, responses: Sequence[ChallengeResponse]) -> None:
        owner = self._owner
        taken = self._names.claim(owner, files_of(responses))
        if not taken:
            return
        # An earlier process may have made them, and they must not lead to the answer for somebody else.
        await super().clean_up(responses)
        self._names.release(owner.uid)
        logger.warning("%s/%s: the responder answers for another namespace for %s", owner.namespace, owner.name, taken)
        raise SolverError(
            "NameInUse",
            f"A Certificate in another namespace is validating {listed(taken)} with another account, or has just done "
            "so, and the operator's own responder can answer only one account for a domain at a time. The operator "
            "tries again. If this lasts, use responder pod in the issuer's tlsAlpn01 solver.",
        )

    def _service(self, name: str) -> Manifest:
        settings, route = self._settings, self._settings.route
        of_pod = isinstance(settings.responder, PodSettings)
        service_type = route.type if isinstance(route, OwnService) else settings.service_type
        made = manifests.service(self._owner, name, service_type=service_type, of_pod=of_pod)
        port: Manifest = {"name": "tls", "port": 443, "targetPort": PORT, "protocol": "TCP"}
        if isinstance(settings.responder, SharedSettings):
            port["targetPort"] = settings.responder.tls_port
        if isinstance(route, OwnService):
            if route.node_port is not None:
                port["nodePort"] = route.node_port
            if route.load_balancer_class is not None:
                made["spec"]["loadBalancerClass"] = route.load_balancer_class
        made["spec"]["ports"] = [port]
        return made

    def _pod(self, name: str, files: Sequence[FileResponse], settings: PodSettings) -> Manifest:
        made = manifests.pod(self._owner, name, files, settings)
        [container] = made["spec"]["containers"]
        container["args"] = [*container["args"], "--tls-alpn-01"]
        container["ports"] = [{"name": "tls", "containerPort": PORT, "protocol": "TCP"}]
        container["readinessProbe"] = {
            **{key: value for key, value in container["readinessProbe"].items() if key != "httpGet"},
            "tcpSocket": {"port": "tls"},
        }
        return made

    def _endpoint_slice(self, name: str, settings: SharedSettings) -> Manifest:
        made = manifests.endpoint_slice(self._owner, name, settings)
        made["ports"] = [{"name": "tls", "port": settings.tls_port, "protocol": "TCP"}]
        return made

    def _route_manifests(self, name: str, files: Sequence[FileResponse]) -> list[tuple[str, Manifest]]:
        route = self._settings.route
        return tls_routes(self._owner, name, files, route) if isinstance(route, TlsRoute) else []

    def _routes(self, name: str, files: Sequence[FileResponse]) -> list[tuple[ObjectKind, str, bool]]:
        return [("TLSRoute", own, False) for own, _ in self._route_manifests(name, files)]

    async def _service_trouble(self, name: str) -> str:
        if not isinstance(self._settings.route, OwnService):
            return ""
        await self._make_service(name)
        return "" if has_load_balancer(self._made_service) else load_balancer_trouble(self._made_service)

    async def _route_trouble(self, names: Sequence[str]) -> str:
        return await tls_route_trouble(self._objects, self._owner, names, self._settings.route)

    async def _diagnose(self, files: Sequence[FileResponse], missing: Sequence[HttpSighting]) -> str:
        if any(OTHER_CHALLENGE in one.seen for one in missing):  # whatever else may be wrong
            return (
                "another order for the same domain is answered, and a connection can only lead to one: this one is "
                "when that has ended"
            )
        return await super()._diagnose(files, missing)

    async def _controller_trouble(self, names: Sequence[str], missing: Sequence[HttpSighting]) -> str:  # noqa: ARG002 - as for http-01
        return load_balancer_trouble(self._made_service) if isinstance(self._settings.route, OwnService) else ""


def tls_routes(
    owner: Owner, name: str, responses: Sequence[FileResponse], route: TlsRoute
) -> list[tuple[str, Manifest]]:
    """Return the TLSRoutes for these names: by server name, which for an address is in the reverse zone (RFC 8738)."""
    hosts = sorted({tls_alpn01_server_name(identifier_of(one.host)) for one in responses})
    made = []
    for number, start in enumerate(range(0, len(hosts), MAX_HOSTNAMES)):
        own = name if number == 0 else f"{name}-{number}"
        manifest = {
            "apiVersion": TLS_ROUTES.api_version,
            "kind": "TLSRoute",
            "metadata": manifests.metadata(owner, own, labels=route.labels),
            "spec": {
                "parentRefs": [dict(parent) for parent in route.parent_refs],
                "hostnames": hosts[start : start + MAX_HOSTNAMES],
                "rules": [{"backendRefs": [{"name": name, "port": 443}]}],
            },
        }
        made.append((own, manifest))
    return made


def shared_tls_look_up(answers: Holders[FileResponse]) -> Callable[[str], tuple[str, str] | None]:
    """Return what the operator's own TLS responder asks for a server name: it answers for every order at once."""

    def look_up(server_name: str) -> tuple[str, str] | None:
        held = answers.at(TlsAlpnResponse(_host_of(server_name), "", "").location)
        return (held[0].host, held[0].key_authorization) if held else None

    return look_up


def _host_of(server_name: str) -> str:
    """Return the domain or address that a server name stands for (RFC 8738 section 6)."""
    labels = server_name.split(".")
    try:
        if server_name.endswith(".in-addr.arpa"):
            return str(ipaddress.IPv4Address(".".join(reversed(labels[:-2]))))
        if server_name.endswith(".ip6.arpa"):
            digits = "".join(reversed(labels[:-2]))
            return str(ipaddress.IPv6Address(int(digits, 16)))
    except ValueError:
        return server_name
    return server_name
