"""The tlsAlpn01 solver: what answers the CA's handshake on port 443, and the route to it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certwright.resources.base import Model
from certwright.resources.duration import AtLeast
from certwright.resources.http01 import (
    ParentRef,
    PodTemplate,
    Responder,
    SelfCheck,
    SelfCheckAddresses,
    ServiceType,
)
from certwright.resources.labels import LABELS_TO_WRITE
from certwright.resources.names import Distinct, Endpoint
from certwright.resources.rules import ATOMIC_LIST, rule, validations

OwnServiceType = Literal["LoadBalancer", "NodePort"]

_ONE_ROUTE: Final = "must have exactly one of gatewayTLSRoute and service"
_NO_BALANCER: Final = "loadBalancerClass requires type LoadBalancer"
_NO_POD: Final = "podTemplate cannot be used with responder shared: there is no pod"


class TlsAlpn01GatewayTLSRoute(Model):
    """A route through a TLSRoute of the Gateway API, to a listener of protocol TLS and mode Passthrough."""

    labels: Annotated[Mapping[str, str], LABELS_TO_WRITE] = {}
    """Labels for the TLSRoute, for Gateways that select routes by label."""
    parent_refs: Annotated[tuple[ParentRef, ...], Field(min_length=1, max_length=32, json_schema_extra=ATOMIC_LIST)]
    """
    The Gateways that serve the route: those that the domains resolve to. Their listener on port 443 must pass TLS
    through.
    """
    service_type: ServiceType = "ClusterIP"
    """The type of the solver's Service."""


class TlsAlpn01Service(Model):
    """No route: the domains resolve to the solver's Service itself."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule(
                "!has(self.loadBalancerClass) || self.type == 'LoadBalancer'",
                _NO_BALANCER,
                field_path=".loadBalancerClass",
            )
        )
    )

    type: OwnServiceType = "LoadBalancer"
    """
    LoadBalancer: a separate load balancer that listens on port 443. NodePort: for your own load balancer that forwards
    its port 443 to nodePort.
    """
    node_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The port on the nodes. Only one order at a time can use it. If unset, the cluster chooses one."""
    load_balancer_class: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """The spec.loadBalancerClass of the Service. If unset, the cluster's default."""

    @model_validator(mode="after")
    def _balancer(self) -> Self:
        if self.load_balancer_class is not None and self.type != "LoadBalancer":
            raise ValueError(_NO_BALANCER)
        return self


class TlsAlpn01(Model):
    """Validation by a TLS handshake on port 443 that offers the protocol acme-tls/1 (RFC 8737).

    During a validation, a route by server name sends all connections for the domain to the solver: use this for
    domains that serve nothing on port 443, or that can tolerate a short interruption.
    """

    model_config = ConfigDict(
        json_schema_extra=validations(
            rule("has(self.gatewayTLSRoute) != has(self.service)", _ONE_ROUTE),
            rule("!has(self.podTemplate) || self.responder != 'shared'", _NO_POD, field_path=".podTemplate"),
        )
    )

    gateway_tls_route: TlsAlpn01GatewayTLSRoute | None = Field(default=None, alias="gatewayTLSRoute")
    """Routes the CA's handshake to the solver through a TLSRoute of the Gateway API."""
    service: TlsAlpn01Service | None = None
    """Sends the CA's handshake to the solver through its Service alone."""
    responder: Responder = "pod"
    """
    What answers the CA. pod: one pod for each order, in the Certificate's namespace, which generates the private key of
    its validation certificates and keeps it in memory. shared: the operator itself, without a pod. The Gateway must
    then be able to reach the operator: the network policy must allow its port, and the Gateway must accept endpoints in
    another namespace.
    """
    pod_template: PodTemplate | None = None
    """Additions to the solver pod."""
    self_check: SelfCheck = "required"
    """
    Whether the operator performs the handshake, as the CA would, before it asks the CA to validate. required: it asks
    the CA only once the solver presents the validation certificate. advisory: after selfCheckTimeout it asks the CA
    anyway, with a warning. off: no check, for domains that resolve differently inside the cluster; it asks the CA 5 s
    after the pod is running.
    """
    self_check_addresses: SelfCheckAddresses = "all"
    """
    Which addresses of a domain must answer the self-check. all: every one, because the CA may connect to any of them
    and prefers IPv6; addresses without a route from the operator are ignored. any: the first that answers.
    """
    nameservers: Annotated[tuple[Endpoint, ...], Field(max_length=8, json_schema_extra=ATOMIC_LIST), Distinct] = ()
    """
    Recursive DNS servers for the self-check, each as host, host:port or [IPv6 address]:port. If unset, those in the
    operator's resolv.conf. Set this if domains resolve differently inside the cluster.
    """
    self_check_timeout: Annotated[timedelta, AtLeast("1s")] = timedelta(minutes=1)
    """
    How long to wait until the solver presents the validation certificate. If selfCheck is required and it does not in
    time, the Certificate reports what the operator saw; after a pause, the operator creates the solver again for the
    same order and restarts the wait.
    """

    @model_validator(mode="after")
    def _one_route(self) -> Self:
        if (self.gateway_tls_route is None) == (self.service is None):
            raise ValueError(_ONE_ROUTE)
        if self.responder == "shared" and self.pod_template is not None:
            raise ValueError(_NO_POD)
        return self
