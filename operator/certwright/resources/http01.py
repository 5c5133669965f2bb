"""The http01 solver: who answers the CA's request, and the route by which it gets there."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.duration import AtLeast
from certwright.resources.free_form import FreeForm
from certwright.resources.labels import ANNOTATIONS_TO_WRITE, LABELS, LABELS_TO_WRITE
from certwright.resources.names import Endpoint, ObjectName
from certwright.resources.rules import ATOMIC_LIST, rule, validations

ServiceType = Literal["ClusterIP", "NodePort"]
Responder = Literal["pod", "shared"]
SelfCheck = Literal["required", "advisory", "off"]

_ONE_ROUTE = "must have exactly one of ingress and gatewayHTTPRoute"
_ONE_INGRESS = "must have at most one of ingressClassName, class and name"
_NO_POD = "podTemplate has no meaning with responder shared: there is no pod"


class TemplateMetadata(Model):
    """Labels and annotations for an object of the solver."""

    labels: Annotated[Mapping[str, str], LABELS_TO_WRITE] = {}
    """Labels for the object."""
    annotations: Annotated[Mapping[str, str], ANNOTATIONS_TO_WRITE] = {}
    """Annotations for the object."""


class Toleration(Model):
    """A taint that the solver pod does not mind, as in a pod's spec."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """The taint's key; without it, every key (the operator must be Exists then)."""
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    """How the value is compared. Equal if not given."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; without it, every effect."""
    toleration_seconds: int | None = None
    """For NoExecute: how long the pod may stay."""


class LocalObjectReference(Model):
    """An object in the Certificate's namespace."""

    name: ObjectName
    """Its name."""


class PodTemplateSpec(Model):
    """What the solver pod's spec is to have besides what it needs."""

    node_selector: Annotated[Mapping[str, str], LABELS] = {}
    """Labels that the node must have; kubernetes.io/os is linux unless it says otherwise."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32, json_schema_extra=ATOMIC_LIST)] = ()
    """Taints that the pod does not mind."""
    affinity: FreeForm | None = None
    """Where the pod is to run, as in a pod's spec."""
    priority_class_name: ObjectName | None = None
    """The pod's priority class."""
    service_account_name: ObjectName | None = None
    """The pod's service account; its token is not mounted in any case."""
    image_pull_secrets: Annotated[
        tuple[LocalObjectReference, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """Secrets in the Certificate's namespace with credentials for the image's registry."""
    security_context: FreeForm | None = None
    """Fields of the pod's security context that are to differ from the restricted ones."""
    resources: FreeForm | None = None
    """Requests and limits of the pod's one container, in place of the default ones."""


class PodTemplate(Model):
    """What the solver pod is to have besides what it needs."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations for the pod."""
    spec: PodTemplateSpec | None = None
    """Where and how the pod runs."""


class IngressTemplate(Model):
    """What the solver's Ingress is to have besides what it needs."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations for the Ingress."""


class Http01Ingress(Model):
    """A route by an Ingress of its own, or by rules added to one that is there."""

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra=validations(
            rule(
                "[has(self.ingressClassName), has(self.class), has(self.name)].filter(given, given).size() <= 1",
                _ONE_INGRESS,
            )
        ),
    )

    ingress_class_name: ObjectName | None = None
    """The spec.ingressClassName of the Ingress. Without any of the three, the cluster's default class."""
    ingress_class: ObjectName | None = Field(default=None, alias="class")
    """
    The kubernetes.io/ingress.class annotation of the Ingress, for controllers that know no ingressClassName.
    """
    name: ObjectName | None = None
    """
    An Ingress in the Certificate's namespace that is edited in place: for load balancers that give each Ingress
    an address of its own. The rules are taken out again.
    """
    service_type: ServiceType = "ClusterIP"
    """The type of the solver's Service. NodePort for load balancers that reach nodes only."""
    pod_template: PodTemplate | None = None
    """What the solver pod is to have besides what it needs."""
    ingress_template: IngressTemplate | None = None
    """What the Ingress is to have besides what it needs; of no effect with name."""

    @model_validator(mode="after")
    def _one_ingress(self) -> Self:
        if sum(given is not None for given in (self.ingress_class_name, self.ingress_class, self.name)) > 1:
            raise ValueError(_ONE_INGRESS)
        return self


class ParentRef(Model):
    """A Gateway (or another parent) that the HTTPRoute attaches to."""

    group: Annotated[str, Field(max_length=253)] = "gateway.networking.k8s.io"
    """The parent's API group."""
    kind: Annotated[str, Field(max_length=63)] = "Gateway"
    """The parent's kind."""
    namespace: ObjectName | None = None
    """The parent's namespace; the Certificate's own if not given. The listener must allow routes from there."""
    name: ObjectName
    """The parent's name."""
    section_name: Annotated[str, Field(max_length=253)] | None = None
    """The listener. It must be one for HTTP on port 80."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The port of the listener."""


class Http01GatewayHTTPRoute(Model):
    """A route by an HTTPRoute of the Gateway API."""

    labels: Annotated[Mapping[str, str], LABELS_TO_WRITE] = {}
    """Labels for the HTTPRoute, for Gateways that select routes by them."""
    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, max_length=32, json_schema_extra=ATOMIC_LIST)]
    """The Gateways that are to serve the route: those that the names lead to."""
    service_type: ServiceType = "ClusterIP"
    """The type of the solver's Service."""
    pod_template: PodTemplate | None = None
    """What the solver pod is to have besides what it needs."""


class Http01(Model):
    """Proof by a file under http://<name>/.well-known/acme-challenge/ (RFC 8555, section 8.3)."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("has(self.ingress) != has(self.gatewayHTTPRoute)", _ONE_ROUTE),
            rule(
                "!has(self.responder) || self.responder != 'shared' || "
                "!(has(self.ingress) && has(self.ingress.podTemplate)) && "
                "!(has(self.gatewayHTTPRoute) && has(self.gatewayHTTPRoute.podTemplate))",
                _NO_POD,
            ),
        )
    )

    ingress: Http01Ingress | None = None
    """Leads the CA's request to the solver by an Ingress."""
    gateway_http_route: Http01GatewayHTTPRoute | None = Field(default=None, alias="gatewayHTTPRoute")
    """Leads the CA's request to the solver by an HTTPRoute of the Gateway API."""
    responder: Responder = "pod"
    """
    Who answers. pod: a pod in the Certificate's namespace, one for each order, however many names it has.
    shared: the operator itself, without any pod, where the ingress controller can reach it (the operator's
    network policy allows its port, and the controller takes endpoints that are in another namespace).
    """
    self_check: SelfCheck = "required"
    """
    Whether the operator asks for the file as the CA would, before the CA is told to look. required: the CA is
    not asked before it was seen. advisory: after selfCheckTimeout the CA is asked all the same, with a warning.
    off: it is not looked for, as where the names lead elsewhere from inside the cluster; the CA is asked 5 s
    after the pod runs.
    """
    nameservers: Annotated[tuple[Endpoint, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)] = ()
    """
    Recursive servers at which the self-check looks the names up, each as host, host:port or [IPv6
    address]:port. Without it, those of the operator's own resolv.conf: give it where names lead elsewhere from
    inside the cluster.
    """
    self_check_timeout: Annotated[timedelta, AtLeast("1s")] = timedelta(minutes=1)
    """
    How long the file is looked for. After it, with required, the Certificate says what was seen; the order is
    kept, the solver made again, and the wait begins anew after a pause.
    """

    @model_validator(mode="after")
    def _one_route(self) -> Self:
        if (self.ingress is None) == (self.gateway_http_route is None):
            raise ValueError(_ONE_ROUTE)
        if self.responder == "shared" and self.pod_template is not None:
            raise ValueError(_NO_POD)
        return self

    @property
    def pod_template(self) -> PodTemplate | None:
        """The template of the route that is given."""
        route = self.ingress or self.gateway_http_route
        return route.pod_template if route is not None else None

    @property
    def service_type(self) -> ServiceType:
        """The type of the Service of the route that is given."""
        route = self.ingress or self.gateway_http_route
        return route.service_type if route is not None else "ClusterIP"
