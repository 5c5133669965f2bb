"""Creates presenters from an issuer's solvers, with credentials from the namespace of the issuer's Secrets."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Mapping  # noqa: TC003 - dataclasses are easier to read with real annotations
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from certwright.challenges.holders import Holders
from certwright.failures import IssuanceError
from certwright.http.addresses import AddressPolicy
from certwright.http01.presenter import Http01Presenter
from certwright.http01.removal import remove, remove_superseded
from certwright.http01.server_names import ServerNames
from certwright.http01.settings import (
    GatewayRoute,
    IngressRoute,
    Owner,
    OwnService,
    PodSettings,
    Settings,
    SharedSettings,
    TlsRoute,
)
from certwright.http01.tls_alpn01 import TlsAlpn01Presenter
from certwright.issuers.caa_forecast import CaaForecast
from certwright.issuers.dns_providers import DnsProviders
from certwright.issuers.persistent_records import PersistentRecords
from certwright.issuers.rate_limits import Asker
from certwright.issuers.registry import LoadedIssuer
from certwright.issuers.template_policy import TemplatePolicy
from certwright.resources import API_VERSION, Certificate, TlsAlpn01

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from certwright.challenges.presenter import PresentedObject, Presenter
    from certwright.challenges.response import FileResponse
    from certwright.http01.server_names import NameUse
    from certwright.issuers.ambient import AmbientPolicy
    from certwright.issuers.registry import SolverSource
    from certwright.kube.api import KubeApi
    from certwright.kube.dns_webhooks import DnsWebhookApi
    from certwright.kube.solver_objects import SolverObjectApi
    from certwright.resources import Http01, Http01Override, IssuerSolver
    from certwright.runtime.key import Key

KEPT_SECONDS: Final = 10.0
"""A hundred Certificates applied at once read a credential once; a corrected one is seen after this time."""


_Kept: TypeAlias = tuple[str, int, str, int]
"""The issuer's UID, generation and account, and which of its solvers."""


@dataclass(frozen=True)
class Http01Options:
    """What the operator's own settings say about http-01.

    Attributes:
        image: Of solver pods; None if it was not said.
        pull_policy: When they pull it.
        responder_address: IP address at which ingress controllers reach the operator's responder; None if not said.
        responder_port: Its port.
        tls_responder_port: Its port for tls-alpn-01; None for none.
        check_port: The port that CAs ask at.
        tls_check_port: The same for tls-alpn-01.
        addresses: Which addresses may be connected to, by self-checks and for DNS providers.
        resources: Requests and limits of solver pods, unless an issuer has its own; None for the default.
        templates: What issuers' templates may put on solver objects.
    """

    image: str | None = None
    pull_policy: str = "IfNotPresent"
    responder_address: str | None = None
    responder_port: int = 8089
    tls_responder_port: int | None = None
    check_port: int = 80
    tls_check_port: int = 443
    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    resources: Mapping[str, Any] | None = None
    templates: TemplatePolicy = field(default_factory=TemplatePolicy)


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class PresenterFactory:
    """Makes presenters; those with credentials it keeps for a few seconds.

    Args:
        kube_api: Where credentials are read.
        objects: Where solver pods and their routes are made.
        webhooks: Calls DNS webhooks.
        http01: The operator's settings.
        user_agent: For the requests to DNS providers that speak HTTPS.
        ambient: Which issuers may use the credentials of the place where the operator runs.
        before_send: Called before a DNS provider is sent anything; what it raises keeps it from being sent.
        monotonic: The clock, in seconds.
        clock: The present time.
        on_asked: Called with an issuer's key when Certificates need permanent records that it has not looked for.
        server_names: Lists the names whose routes lead to the operator's own TLS responder, as statuses say.
    """

    def __init__(
        self,
        kube_api: KubeApi,
        objects: SolverObjectApi,
        webhooks: DnsWebhookApi,
        *,
        http01: Http01Options | None = None,
        user_agent: str = "certwright",
        ambient: AmbientPolicy | None = None,
        before_send: Callable[[], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], dt.datetime] = _utc_now,
        on_asked: Callable[[Key], object] = lambda _: None,
        server_names: Callable[[], Iterable[NameUse]] = tuple,
    ) -> None:
        self._objects = objects
        self._http01 = http01 or Http01Options()
        self._dns_providers = DnsProviders(
            kube_api,
            webhooks,
            user_agent=user_agent,
            before_send=before_send,
            addresses=self._http01.addresses,
            ambient=ambient,
            monotonic=monotonic,
        )
        self._monotonic = monotonic
        self.persistent_records = PersistentRecords(self._dns_providers, clock, on_asked)
        """What looks after the records of dns-persist-01."""
        self._kept: dict[_Kept, tuple[float, asyncio.Task[Presenter]]] = {}
        self.answers: Holders[FileResponse] = Holders()
        """What the operator's own responder is to answer."""
        self._server_names = ServerNames(server_names, monotonic=monotonic)
        self.caa = CaaForecast(self._dns_providers.view_through)
        """Looks at CAA records before the CA does."""

    async def make(self, issuer: SolverSource, solver: IssuerSolver, certificate: Certificate) -> Presenter:
        """Return a presenter for one of the issuer's solvers, for the names of a Certificate.

        Args:
            issuer: Whose solver and credentials it is.
            solver: One of the issuer's.
            certificate: Whose domains are to be validated.

        Raises:
            IssuanceError: Its credentials are missing, or the operator lacks a setting that it needs.
            DnsError: A server's address or a key cannot be used.
            KubeError: The credentials cannot be read.
            AcmeError: The CA's directory cannot be fetched.
        """
        if solver.http01 is not None:
            return self._http01_presenter(issuer, solver.http01, certificate)
        if solver.tls_alpn01 is not None:
            return self._tls_alpn01_presenter(issuer, solver.tls_alpn01, certificate)
        if solver.persistent is not None:
            if isinstance(issuer, LoadedIssuer):
                raise IssuanceError(
                    "CleanUpBlocked",
                    f"{issuer.key} is not ready, and its solver for dns-persist-01 removes no records.",
                )
            who = Asker(certificate.metadata.namespace or "", certificate.metadata.uid)
            return await self.persistent_records.presenter(issuer, solver.persistent, who)
        return await self.of_records(issuer, solver)

    async def of_records(self, issuer: SolverSource, solver: IssuerSolver) -> Presenter:
        """Return a presenter for a solver that has a DNS provider create and remove records, for any names.

        Raises:
            IssuanceError: Its credentials are missing.
            DnsError: A server's address or a key cannot be used.
            KubeError: The credentials cannot be read.
        """
        spec = solver.dns01
        if spec is None:
            raise AssertionError(f"nobody presents for {solver.challenge_type}")
        # The account too: records of dns-account-01 are named by it.
        key = (issuer.uid, issuer.generation, issuer.account_url, issuer.spec.solvers.index(solver))
        now = self._monotonic()
        self._kept = {known: entry for known, entry in self._kept.items() if entry[0] > now}
        if key not in self._kept:
            # A task, for all who ask while the credential is being read, and not ended with the first of them.
            making = asyncio.create_task(self._dns_providers.presenter(issuer, spec))
            making.add_done_callback(lambda done: self._made(key, done))
            self._kept[key] = (now + KEPT_SECONDS, making)
        return await asyncio.shield(self._kept[key][1])

    async def remove_http01(
        self, certificate: Certificate, made: Iterable[PresentedObject], resources: Sequence[FileResponse]
    ) -> None:
        """Remove what answers for a Certificate's files; no issuer is needed for it. Raises `KubeError`."""
        await remove(self._objects, self.answers, _owner(certificate), made, resources)
        self._server_names.release(certificate.metadata.uid)

    async def remove_superseded(
        self,
        certificate: Certificate,
        known: Iterable[PresentedObject],
        wanted: Iterable[PresentedObject],
        resources: Sequence[FileResponse],
    ) -> None:
        """Remove what answered for a Certificate's files as its issuer was before. Raises `KubeError`."""
        await remove_superseded(self._objects, _owner(certificate), known, wanted, resources)

    async def aclose(self) -> None:
        """Close the connections to DNS providers."""
        await self._dns_providers.aclose()

    def forget(self, uid: str) -> None:
        """Answer no more for a Certificate that is gone."""
        self.answers.forget(uid)
        self._server_names.release(uid)
        self.persistent_records.forget(uid)

    def _http01_presenter(self, issuer: SolverSource, spec: Http01, certificate: Certificate) -> Http01Presenter:
        settings = Settings(
            responder=self._responder(issuer, spec),
            route=_route(issuer, spec, certificate.spec.http01),
            service_type=spec.service_type,
            self_check=spec.self_check,
            check_port=self._http01.check_port,
            nameservers=spec.nameservers,
            every_address=spec.self_check_addresses == "all",
            addresses=self._http01.addresses,
        )
        return Http01Presenter(
            self._objects, _owner(certificate), settings, patience=spec.self_check_timeout, answers=self.answers
        )

    def _tls_alpn01_presenter(
        self, issuer: SolverSource, spec: TlsAlpn01, certificate: Certificate
    ) -> TlsAlpn01Presenter:
        settings = Settings(
            responder=self._responder(issuer, spec),
            route=_tls_route(spec),
            service_type=spec.gateway_tls_route.service_type if spec.gateway_tls_route is not None else "ClusterIP",
            self_check=spec.self_check,
            check_port=self._http01.tls_check_port,
            nameservers=spec.nameservers,
            every_address=spec.self_check_addresses == "all",
            addresses=self._http01.addresses,
        )
        return TlsAlpn01Presenter(
            self._objects,
            _owner(certificate),
            settings,
            patience=spec.self_check_timeout,
            answers=self.answers,
            names=self._server_names,
        )

    def _responder(self, issuer: SolverSource, spec: Http01 | TlsAlpn01) -> PodSettings | SharedSettings:
        options = self._http01
        if spec.responder == "shared":
            if options.responder_address is None:
                raise IssuanceError(
                    "ResponderUnavailable",
                    f"{issuer.key} has a solver with responder shared, but the operator does not know its own "
                    "address: start it with --responder-address (the Helm chart does), or use responder pod.",
                )
            if isinstance(spec, TlsAlpn01) and options.tls_responder_port is None:
                raise IssuanceError(
                    "ResponderUnavailable",
                    f"{issuer.key} has a tlsAlpn01 solver with responder shared, but the operator does not answer TLS: "
                    "start it with --tls-responder-port (the Helm chart does if tlsAlpn01.enabled is set), or use "
                    "responder pod.",
                )
            tls_port = options.tls_responder_port or 0
            return SharedSettings(options.responder_address, options.responder_port, tls_port)
        if options.image is None:
            raise IssuanceError(
                "SolverImageUnknown",
                f"{issuer.key} has a solver that needs a pod, but the operator does not know which image solver pods "
                "use: start it with --solver-image (the Helm chart does), or use responder shared.",
            )
        template = spec.pod_template.to_json() if spec.pod_template is not None else {}
        return PodSettings(options.image, options.pull_policy, template, options.resources)

    def _made(self, key: _Kept, making: asyncio.Task[Presenter]) -> None:
        if making.cancelled() or making.exception() is not None:
            entry = self._kept.get(key)
            if entry is not None and entry[1] is making:
                del self._kept[key]


def _owner(certificate: Certificate) -> Owner:
    metadata = certificate.metadata
    return Owner(
        namespace=metadata.namespace or "",
        name=metadata.name,
        uid=metadata.uid,
        reference={
            "apiVersion": API_VERSION,
            "kind": Certificate.KIND,
            "name": metadata.name,
            "uid": metadata.uid,
            "controller": True,
        },
    )


def _route(issuer: SolverSource, spec: Http01, override: Http01Override | None) -> IngressRoute | GatewayRoute:
    if spec.gateway_http_route is not None:
        gateway = spec.gateway_http_route
        further = override.gateway_http_route if override is not None else None
        parents = dict.fromkeys(gateway.parent_refs + (further.parent_refs if further is not None else ()))
        if not parents:
            raise IssuanceError(
                "ParentRefsMissing",
                f"The gatewayHTTPRoute of a solver of {issuer.key} has no parentRefs, and the Certificate adds none in "
                "spec.http01.gatewayHTTPRoute: no Gateway would serve the route.",
            )
        return GatewayRoute(tuple(parent.to_json() for parent in parents), gateway.labels)
    if spec.ingress is None:
        raise AssertionError("http01 has an ingress or a gatewayHTTPRoute: the model checks it")
    another = override.ingress if override is not None else None
    chosen = spec.ingress if another is None or (another.only_if_unset and spec.ingress.is_chosen) else another
    template = spec.ingress.ingress_template
    metadata = template.metadata if template is not None else None
    return IngressRoute(
        class_name=chosen.ingress_class_name,
        class_annotation=chosen.ingress_class,
        edit=chosen.name,
        path_type=spec.ingress.path_type,
        labels=metadata.labels if metadata is not None else {},
        annotations=metadata.annotations if metadata is not None else {},
    )


def _tls_route(spec: TlsAlpn01) -> TlsRoute | OwnService:
    if spec.gateway_tls_route is not None:
        gateway = spec.gateway_tls_route
        return TlsRoute(tuple(parent.to_json() for parent in gateway.parent_refs), gateway.labels)
    if spec.service is None:
        raise AssertionError("tlsAlpn01 has a gatewayTLSRoute or a service: the model checks it")
    return OwnService(spec.service.type, spec.service.node_port, spec.service.load_balancer_class)
