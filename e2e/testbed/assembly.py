"""Which parts a bed has, what each waits for, and which programs they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .binaries import find_or_build
from .debian import find_or_install_named
from .errors import BedError
from .parts.apiserver import ApiServer
from .parts.backend import Backend
from .parts.bind import Bind
from .parts.challtestsrv import ChallengeTestServer
from .parts.controllers import ControllerManager
from .parts.etcd import Etcd
from .parts.pebble import Pebble
from .parts.traefik import Traefik
from .traefik_wheel import find_traefik

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .options import BedOptions
    from .part import Part, Site
    from .progress import Reporter


@dataclass(frozen=True)
class Place:
    """A part and the names of those that must serve before it starts."""

    part: Part
    after: tuple[str, ...] = ()


def programs_for(options: BedOptions, reporter: Reporter) -> dict[str, Path]:
    """Return the executables of the chosen parts; builds or installs what is missing.

    Raises:
        BinaryUnavailable: one can neither be found, built nor installed.
        DiskFull: there is no room to build.
    """
    wanted: list[str] = []
    found: dict[str, Path] = {}
    if options.acme:
        found["named"] = find_or_install_named(reporter)
        wanted.append("pebble")
    if options.challtestsrv:
        wanted.append("pebble-challtestsrv")
    if options.kubernetes:
        wanted += ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"]
    if options.ingress:
        found["traefik"] = find_traefik()
    return found | find_or_build(wanted, reporter)


def assemble(site: Site, options: BedOptions) -> Mapping[str, Place]:
    """Return the parts of a bed by name.

    Raises:
        BedError: the options contradict each other.
    """
    places: list[Place] = []
    traefik: Traefik | None = None
    if options.ingress and not options.kubernetes:
        raise BedError("An ingress controller needs a cluster", remedy="set kubernetes=True or ingress=False")
    if options.kubernetes:
        etcd = Etcd(site)
        apiserver = ApiServer(site, etcd, audit=options.audit)
        places += [
            Place(etcd),
            Place(apiserver, (etcd.name,)),
            Place(ControllerManager(site, apiserver), (apiserver.name,)),
        ]
        if options.ingress:
            traefik = Traefik(site, apiserver)
            places += [Place(Backend(site)), Place(traefik, (apiserver.name,))]
    if options.acme:
        bind = Bind(site, options.zones)
        pebble = Pebble(site, options.pebble, bind=bind, ingress=traefik)
        # Pebble is told the ports of both when it starts.
        places += [Place(bind), Place(pebble, (bind.name, *((traefik.name,) if traefik else ())))]
    if options.challtestsrv:
        places.append(Place(ChallengeTestServer(site)))
    for place in places:
        place.part.fixed_ports = dict(options.fixed_ports.get(place.part.name, {}))
    return {place.part.name: place for place in places}
