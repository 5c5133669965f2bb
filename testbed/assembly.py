"""Which parts a bed has, what each waits for, and which programs they need."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .binaries import find_or_build
from .debian import NETWORK_POLICY_TOOLS, NODE_TOOLS, PLAIN_TOOLS, find_or_install
from .definitions import GATEWAY_API
from .errors import BedError
from .network import HTTP_PORT, HTTPS_PORT
from .parts.apiserver import ApiServer
from .parts.arrangement import Objects
from .parts.backend import Backend
from .parts.bind import Bind
from .parts.challtestsrv import ChallengeTestServer
from .parts.containerd import Containerd
from .parts.controllers import ControllerManager
from .parts.coredns import CoreDns
from .parts.etcd import Etcd
from .parts.gateway import Gateway, GatewayDefinitions
from .parts.ground import Ground
from .parts.kubelet import Kubelet
from .parts.kubeproxy import KubeProxy
from .parts.kuberouter import KubeRouter
from .parts.pebble import Pebble
from .parts.scheduler import Scheduler
from .parts.traefik import Traefik
from .pod_images import PAUSE, WEB, pod_image
from .traefik_wheel import find_traefik

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .options import BedOptions
    from .part import Part, Site
    from .progress import Reporter


NODE_PROGRAMS = (
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "coredns",
    "pause",
    "web",
)
NODE_PORTS = {"traefik": {"http": HTTP_PORT, "https": HTTPS_PORT}}
# The class of Ingresses that the bed's Traefik serves.
INGRESS_CLASS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "traefik"},
    "spec": {"controller": "traefik.io/ingress-controller"},
}


@dataclass(frozen=True)
class Place:
    """A part and the names of those that must serve before it starts."""

    part: Part
    after: tuple[str, ...] = ()


def programs_for(options: BedOptions, reporter: Reporter) -> dict[str, Path]:
    """Return the executables of the chosen parts; build or install what is missing.

    Raises:
        BinaryUnavailable: one can neither be found, built nor installed.
        DiskFull: there is no room to build.
    """
    wanted: list[str] = []
    found: dict[str, Path] = {}
    if options.acme:
        found |= find_or_install(PLAIN_TOOLS, reporter)
        wanted.append("pebble")
    if options.challtestsrv:
        wanted.append("pebble-challtestsrv")
    if options.kubernetes:
        wanted += ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"]
    if options.ingress:
        found["traefik"] = find_traefik()
    if options.node:
        found |= find_or_install(NODE_TOOLS, reporter)
        wanted += NODE_PROGRAMS
    if options.network_policies:
        found |= find_or_install(NETWORK_POLICY_TOOLS, reporter)
        wanted.append("kube-router")
    found |= find_or_build(wanted, reporter)
    if options.node:
        # Once inside namespaces without a network, nothing can be downloaded.
        for name in (PAUSE, WEB):
            pod_image(name, found)
    if options.gateway:
        GATEWAY_API.find()
    return found


def assemble(site: Site, options: BedOptions) -> Mapping[str, Place]:
    """Return the parts of a bed by name.

    Raises:
        BedError: the options contradict each other.
    """
    places: list[Place] = []
    traefik: Traefik | None = None
    if options.ingress and not options.kubernetes:
        raise BedError("An ingress controller needs a cluster", remedy="set kubernetes=True or ingress=False")
    if options.gateway and not options.ingress:
        raise BedError("A Gateway needs an ingress controller", remedy="set ingress=True or gateway=False")
    if options.node and not options.kubernetes:
        raise BedError("A node needs a cluster", remedy="set kubernetes=True or node=False")
    if options.network_policies and not options.node:
        raise BedError("NetworkPolicies need a node", remedy="set node=True or network_policies=False")
    bind = Bind(site, options.zones) if options.acme else None
    if options.kubernetes:
        etcd = Etcd(site)
        apiserver = ApiServer(site, etcd, audit=options.audit, node=options.node)
        places += [
            Place(etcd),
            Place(apiserver, (etcd.name,)),
            Place(ControllerManager(site, apiserver, node=options.node), (apiserver.name,)),
        ]
        if options.node:
            places = _node_places(site, apiserver, bind, places)
        if options.network_policies:
            # It gives up where its node is unknown.
            places.append(Place(KubeRouter(site, apiserver), ("kubelet",)))
        if options.ingress:
            traefik = Traefik(site, apiserver, gateway=options.gateway)
            places += [Place(Backend(site)), *_traefik_places(site, apiserver, traefik, options)]
    if bind is not None:
        pebble = Pebble(site, options.pebble, bind=bind, ingress=traefik)
        # Pebble is told the ports of both when it starts.
        places += [] if options.node else [Place(bind)]
        places.append(Place(pebble, (bind.name, *((traefik.name,) if traefik else ()))))
    if options.challtestsrv:
        places.append(Place(ChallengeTestServer(site)))
    for place in places:
        fixed = NODE_PORTS if options.node else {}
        place.part.fixed_ports = fixed.get(place.part.name, {}) | options.fixed_ports.get(place.part.name, {})
    return {place.part.name: place for place in places}


def _node_places(site: Site, apiserver: ApiServer, bind: Bind | None, cluster: list[Place]) -> list[Place]:
    """Return the cluster's places with those of a node."""
    ground = Ground(site)
    containerd = Containerd(site, ground)
    kubelet = Kubelet(site, apiserver, containerd, ground)
    coredns = CoreDns(site, apiserver, bind)
    return [
        Place(ground),
        *([Place(bind, (ground.name,))] if bind else []),
        *(replace(place, after=(ground.name, *place.after)) for place in cluster),
        Place(containerd, (ground.name,)),
        Place(Scheduler(site, apiserver), (apiserver.name,)),
        Place(KubeProxy(site, apiserver), (apiserver.name,)),
        Place(kubelet, (apiserver.name, containerd.name)),
        Place(coredns, (apiserver.name, *((bind.name,) if bind else ()))),
    ]


def _traefik_places(site: Site, apiserver: ApiServer, traefik: Traefik, options: BedOptions) -> list[Place]:
    """Return the places of the ingress controller and of what it serves from the start."""
    after = [apiserver.name]
    places = []
    if options.node:
        places.append(Place(Objects(site, apiserver, "ingress-class", [INGRESS_CLASS]), (apiserver.name,)))
        after.append("ingress-class")
    if options.gateway:
        definitions = GatewayDefinitions(site, apiserver, GATEWAY_API.find())
        places.append(Place(definitions, (apiserver.name,)))
        after.append(definitions.name)
    places.append(Place(traefik, tuple(after)))
    if options.gateway:
        places.append(Place(Gateway(site, apiserver, traefik), (traefik.name,)))
    return places
