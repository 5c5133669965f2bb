"""The manifests of the Certificates that an object requests. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from certwright.kube.resource import INGRESSES
from certwright.resources import API_VERSION, Certificate, CertificateSpec
from certwright.resources.errors import describe
from certwright.shim.annotations import Refusal, Wishes, refuse_field
from certwright.shim.sources import read_blocks, solver_route

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from certwright.shim.sources import Block, NamesOf, Source


@dataclass(frozen=True)
class Wanted:
    """What an object asks for.

    Attributes:
        certificates: The manifests, by their names.
        kept: The names of Certificates that stay as they are: what is asked for them cannot be done.
        keeps_all: Whether all of them do.
        refusals: What cannot be done.
    """

    certificates: Mapping[str, Mapping[str, Any]]
    kept: frozenset[str] = frozenset()
    keeps_all: bool = False
    refusals: tuple[Refusal, ...] = ()


def wanted_certificates(
    source: Source,
    wishes: Wishes,
    *,
    label_names: Collection[str] = (),
    names_of: NamesOf | None = None,
) -> Wanted:
    """Return the Certificates that an object asks for.

    Args:
        source: The object.
        wishes: What its annotations ask for.
        label_names: Labels that solvers of the issuer select Certificates by; these are copied.
        names_of: See `read_blocks`.
    """
    if wishes.refusals or wishes.issuer is None:
        return Wanted({}, keeps_all=True, refusals=wishes.refusals)
    blocks = read_blocks(source, wishes, names_of)
    certificates: dict[str, Mapping[str, Any]] = {}
    refusals, kept = list(blocks.refusals), set(blocks.refused)
    for name, block in blocks.blocks.items():
        manifest = _manifest(source, wishes, block, wishes.issuer, label_names)
        problems = _problems(manifest, wishes, block, "spec.tls" if source.resource == INGRESSES else "listeners")
        if problems:
            refusals += [problem for problem in problems if problem not in refusals]
            kept.add(name)
        else:
            certificates[name] = manifest
    return Wanted(certificates, frozenset(kept), refusals=tuple(refusals))


def _manifest(
    source: Source, wishes: Wishes, block: Block, issuer: Mapping[str, str], label_names: Collection[str]
) -> dict[str, Any]:
    labels = {name: value for name, value in source.labels.items() if name in label_names and isinstance(value, str)}
    metadata: dict[str, Any] = {"namespace": source.namespace, "name": block.secret_name}
    if labels:
        metadata["labels"] = labels
    names, addresses = _names(block, wishes)
    spec: dict[str, Any] = {
        "dnsNames": names,
        "secretName": block.secret_name,
        "issuerRef": dict(issuer),
        **wishes.spec,
    }
    if addresses:
        spec["ipAddresses"] = list(dict.fromkeys([*spec.get("ipAddresses", ()), *addresses]))
    route = solver_route(source, wishes)
    if route:
        spec["http01"] = route
    return {
        "apiVersion": API_VERSION,
        "kind": Certificate.KIND,
        "metadata": {**metadata, "ownerReferences": [source.reference]},
        "spec": spec,
    }


def _names(block: Block, wishes: Wishes) -> tuple[list[str], list[str]]:
    """Return the DNS names and the IP addresses of a Certificate; a host may be either."""
    found = dict.fromkeys([*block.hosts, *wishes.alt_names])
    addresses = [one for one in found if _is_address(one)]
    return [one for one in found if one not in addresses], addresses


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _problems(manifest: Mapping[str, Any], wishes: Wishes, block: Block, place: str) -> list[Refusal]:
    """Return what is wrong with a manifest in the words of the annotations and hosts that it was made of."""
    try:
        CertificateSpec.model_validate(manifest["spec"])
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        sentences = describe(error)
    else:
        return []
    locations = [tuple(str(part) for part in one["loc"]) for one in found]
    problems = []
    for sentence in sentences:
        field, _, why = sentence.partition(": ")
        location = next((one for one in locations if _is_path(one, field)), ())
        problems.append(_problem(location, field, why, wishes=wishes, block=block, place=place))
    return problems


def _problem(location: tuple[str, ...], field: str, why: str, *, wishes: Wishes, block: Block, place: str) -> Refusal:
    if location[:1] == ("dnsNames",):
        names, _ = _names(block, wishes)
        number = int(location[1]) if len(location) > 1 and location[1].isdecimal() else len(names)
        host = names[number] if number < len(names) else ""
        if host in wishes.alt_names and host not in block.hosts:
            return Refusal.of(wishes.alt_names_by, host, why)
        return Refusal.of(f"{place}: hosts of Secret {block.secret_name}", host, why)
    if location[:1] == ("issuerRef",) and wishes.issuer is not None:
        return Refusal.of(wishes.by, wishes.issuer["name"], why)
    if location[:1] == ("secretName",):
        return Refusal.of(f"{place}: secretName", block.secret_name, why)
    return refuse_field(wishes, location, why) or Refusal.of(f"Secret {block.secret_name}: {field}", "", why)


def _is_path(location: tuple[str, ...], field: str) -> bool:
    return "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in location).removeprefix(".") == field
