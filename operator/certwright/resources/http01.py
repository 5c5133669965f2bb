"""The http01 solver: what answers the CA's request, and the route to it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.duration import AtLeast
from certwright.resources.free_form import FreeForm
from certwright.resources.labels import ANNOTATIONS_TO_WRITE, LABELS, LABELS_TO_WRITE
from certwright.resources.names import UNIQUE_ENDPOINTS, Endpoint, ObjectName, Unique
from certwright.resources.rules import ATOMIC_LIST, rule, validations

ServiceType = Literal["ClusterIP", "NodePort"]
PathType = Literal["ImplementationSpecific", "Exact", "Prefix"]
Responder = Literal["pod", "shared"]
SelfCheck = Literal["required", "advisory", "off"]
SelfCheckAddresses = Literal["all", "any"]

_ONE_ROUTE = "must have exactly one of ingress and gatewayHTTPRoute"
_ONE_INGRESS = "must have at most one of ingressClassName, class and name"
_ONE_OVERRIDE = "must have exactly one of ingressClassName, class and name"
_OVERRIDE_RULE = rule(
    "[has(self.ingressClassName), has(self.class), has(self.name)].exists_one(given, given)", _ONE_OVERRIDE
)
_NO_POD = "podTemplate cannot be used with responder shared: there is no pod"


class TemplateMetadata(Model):
    """Labels and annotations for a solver object."""

    labels: Annotated[Mapping[str, str], LABELS_TO_WRITE] = {}
    """Labels for the object."""
    annotations: Annotated[Mapping[str, str], ANNOTATIONS_TO_WRITE] = {}
    """Annotations for the object."""


class Toleration(Model):
    """A toleration for the solver pod, as in a pod spec."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """The key of the taint. If unset, all keys match; operator must then be Exists."""
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    """How to compare the value. If unset, Equal."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """The value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The effect of the taint. If unset, all effects match."""
    toleration_seconds: int | None = None
    """For NoExecute: how long, in seconds, the pod tolerates the taint."""


class LocalObjectReference(Model):
    """An object in the Certificate's namespace."""

    name: ObjectName
    """The name of the object."""


class PodTemplateSpec(Model):
    """Additions to the spec of the solver pod."""

    node_selector: Annotated[Mapping[str, str], LABELS] = {}
    """Labels that the node must have. kubernetes.io/os is linux unless set here."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32, json_schema_extra=ATOMIC_LIST)] = ()
    """Tolerations for the solver pod."""
    affinity: FreeForm | None = None
    """Affinity rules for the solver pod, as in a pod spec."""
    priority_class_name: ObjectName | None = None
    """The priority class of the solver pod."""
    service_account_name: ObjectName | None = None
    """The service account of the solver pod. Its token is never mounted."""
    image_pull_secrets: Annotated[
        tuple[LocalObjectReference, ...], Field(max_length=16, json_schema_extra=ATOMIC_LIST)
    ] = ()
    """Secrets in the Certificate's namespace that hold credentials for the image registry."""
    security_context: FreeForm | None = None
    """Overrides for the pod security context, which is restricted by default."""
    resources: FreeForm | None = None
    """Resource requests and limits of the pod's container, instead of the defaults."""


class PodTemplate(Model):
    """Additions to the solver pod."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations for the pod."""
    spec: PodTemplateSpec | None = None
    """Scheduling, security and resources of the pod."""


class IngressTemplate(Model):
    """Additions to the solver's Ingress."""

    metadata: TemplateMetadata | None = None
    """Labels and annotations for the Ingress."""


class Http01Ingress(Model):
    """A route through an Ingress: a new one, or rules added to an existing one."""

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
    """The spec.ingressClassName of the Ingress. If this, class and name are all unset, the default class."""
    ingress_class: ObjectName | None = Field(default=None, alias="class")
    """
    The kubernetes.io/ingress.class annotation of the Ingress, for controllers that do not support
    ingressClassName.
    """
    name: ObjectName | None = None
    """
    An existing Ingress in the Certificate's namespace to edit in place, for load balancers that assign each Ingress its
    own address. The operator removes the added rules afterwards.
    """
    path_type: PathType = "ImplementationSpecific"
    """
    The type of the paths. ingress-nginx refuses the dot in /.well-known in paths of type Exact and Prefix, unless its
    strict-validate-path-type is disabled.
    """
    service_type: ServiceType = "ClusterIP"
    """The type of the solver's Service. Use NodePort for load balancers that can only reach nodes."""
    pod_template: PodTemplate | None = None
    """Additions to the solver pod."""
    ingress_template: IngressTemplate | None = None
    """Additions to the solver's Ingress. Ignored if name is set."""

    @property
    def is_chosen(self) -> bool:
        """Whether a class or an Ingress is named."""
        return any(given is not None for given in (self.ingress_class_name, self.ingress_class, self.name))

    @model_validator(mode="after")
    def _one_ingress(self) -> Self:
        if sum(given is not None for given in (self.ingress_class_name, self.ingress_class, self.name)) > 1:
            raise ValueError(_ONE_INGRESS)
        return self


class ParentRef(Model):
    """A Gateway (or another parent) that the HTTPRoute attaches to."""

    group: Annotated[str, Field(max_length=253)] = "gateway.networking.k8s.io"
    """The API group of the parent."""
    kind: Annotated[str, Field(max_length=63)] = "Gateway"
    """The kind of the parent."""
    namespace: ObjectName | None = None
    """The namespace of the parent. If unset, the Certificate's. The listener must allow routes from the latter."""
    name: ObjectName
    """The name of the parent."""
    section_name: Annotated[str, Field(max_length=253)] | None = None
    """The name of the listener. It must serve HTTP on port 80."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The port of the listener."""


class Http01GatewayHTTPRoute(Model):
    """A route through an HTTPRoute of the Gateway API."""

    labels: Annotated[Mapping[str, str], LABELS_TO_WRITE] = {}
    """Labels for the HTTPRoute, for Gateways that select routes by label."""
    parent_refs: Annotated[tuple[ParentRef, ...], Field(max_length=32, json_schema_extra=ATOMIC_LIST)] = ()
    """
    The Gateways that serve the route: those that the domains resolve to. A Certificate can add its own, and must if
    there are none here.
    """
    service_type: ServiceType = "ClusterIP"
    """The type of the solver's Service."""
    pod_template: PodTemplate | None = None
    """Additions to the solver pod."""


class IngressOverride(Model):
    """Replaces the Ingress of the issuer's solver."""

    model_config = ConfigDict(populate_by_name=True, json_schema_extra=validations(_OVERRIDE_RULE))

    ingress_class_name: ObjectName | None = None
    """The spec.ingressClassName of the solver's Ingress."""
    ingress_class: ObjectName | None = Field(default=None, alias="class")
    """The kubernetes.io/ingress.class annotation of the solver's Ingress."""
    name: ObjectName | None = None
    """An existing Ingress in the Certificate's namespace to edit in place."""
    only_if_unset: bool = False
    """Whether this applies only to solvers that name no class and no Ingress themselves."""

    @model_validator(mode="after")
    def _one_ingress(self) -> Self:
        if sum(given is not None for given in (self.ingress_class_name, self.ingress_class, self.name)) != 1:
            raise ValueError(_ONE_OVERRIDE)
        return self


class GatewayOverride(Model):
    """Adds Gateways to those of the issuer's solver."""

    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, max_length=8, json_schema_extra=ATOMIC_LIST)]
    """Additional Gateways that serve the route."""


class Http01Override(Model):
    """The http-01 route for one Certificate. Each field applies to solvers with the same kind of route."""

    ingress: IngressOverride | None = None
    """Sets or replaces ingressClassName, class and name of the solver's ingress."""
    gateway_http_route: GatewayOverride | None = Field(default=None, alias="gatewayHTTPRoute")
    """Adds parentRefs to those of the solver's gatewayHTTPRoute."""


class Http01(Model):
    """Validation by a file under http://<domain>/.well-known/acme-challenge/ (RFC 8555, section 8.3)."""

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
    """Routes the CA's request to the solver through an Ingress."""
    gateway_http_route: Http01GatewayHTTPRoute | None = Field(default=None, alias="gatewayHTTPRoute")
    """Routes the CA's request to the solver through an HTTPRoute of the Gateway API."""
    responder: Responder = "pod"
    """
    What answers the CA. pod: one pod for each order, in the Certificate's namespace. shared: the operator
    itself, without a pod. The ingress controller must then be able to reach the operator: the network policy
    must allow its port, and the controller must accept endpoints in another namespace.
    """
    self_check: SelfCheck = "required"
    """
    Whether the operator requests the file, as the CA would, before it asks the CA to validate. required: it asks the CA
    only once the file is visible. advisory: after selfCheckTimeout it asks the CA anyway, with a warning. off: no
    check, for domains that resolve differently inside the cluster; it asks the CA 5 s after the pod is running.
    """
    self_check_addresses: SelfCheckAddresses = "all"
    """
    Which addresses of a domain must answer the self-check. all: every one, because the CA may connect to any of them
    and prefers IPv6; addresses without a route from the operator are ignored. any: the first that answers, for
    addresses that the CA can reach but the operator cannot.
    """
    nameservers: Annotated[tuple[Endpoint, ...], Field(max_length=16, json_schema_extra=UNIQUE_ENDPOINTS), Unique] = ()
    """
    Recursive DNS servers for the self-check, each as host, host:port or [IPv6 address]:port. If unset, those in the
    operator's resolv.conf. Set this if domains resolve differently inside the cluster.
    """
    self_check_timeout: Annotated[timedelta, AtLeast("1s")] = timedelta(minutes=1)
    """
    How long to wait until the file is visible. If selfCheck is required and the file is not visible in time, the
    Certificate reports what the operator saw; after a pause, the operator creates the solver again for the same order
    and restarts the wait.
    """

    @model_validator(mode="after")
    def _one_route(self) -> Self:
        if (self.ingress is None) == (self.gateway_http_route is None):
            raise ValueError(_ONE_ROUTE)
        if self.responder == "shared" and self.pod_template is not None:
            raise ValueError(_NO_POD)
        return self

    @property
    def route_field(self) -> str:
        """The field of the route that is given, as users write it."""
        return "ingress" if self.ingress is not None else "gatewayHTTPRoute"

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
