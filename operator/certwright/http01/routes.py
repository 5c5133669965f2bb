"""The routes to the solver: Ingresses, rules added to an Ingress, HTTPRoutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.http01.manifests import Manifest, metadata
from certwright.http01.program import PORT
from certwright.kube.resource import CLASS_ANNOTATION, HTTP_ROUTES, INGRESSES
from certwright.well_known import WELL_KNOWN_PATH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from certwright.challenges.response import FileResponse
    from certwright.http01.settings import GatewayRoute, IngressRoute, Owner, PathType

MAX_HOSTNAMES: Final = 16
"""Of one HTTPRoute; its CRD has the number."""


def ingress(owner: Owner, name: str, files: Sequence[FileResponse], route: IngressRoute) -> Manifest:
    """Return an Ingress with a rule for each host and a path for each file; one without host for all addresses."""
    annotations = dict(route.annotations)
    if route.class_annotation is not None:
        annotations[CLASS_ANNOTATION] = route.class_annotation
    spec: Manifest = {"rules": with_paths((), files, service=name, path_type=route.path_type)}
    if route.class_name is not None:
        spec["ingressClassName"] = route.class_name
    return {
        "apiVersion": INGRESSES.api_version,
        "kind": "Ingress",
        "metadata": metadata(owner, name, labels=route.labels, annotations=annotations),
        "spec": spec,
    }


def with_paths(
    rules: Iterable[Mapping[str, Any]],
    files: Iterable[FileResponse],
    *,
    service: str,
    path_type: PathType = "ImplementationSpecific",
) -> list[dict[str, Any]]:
    """Return the rules of an Ingress with the paths of these files in front, which some controllers look at first.

    A path of another Certificate for the same file (a CA may hand one authorization to two orders) stays beside ours.

    Args:
        rules: `spec.rules` as they are.
        files: The files.
        service: The Service that answers.
        path_type: Of the paths.
    """
    changed = without_paths(rules, files, services={service})
    for file in sorted(files):
        rule = next((rule for rule in changed if (rule.get("host") or None) == file.route_host), None)
        if rule is None:
            rule = {} if file.route_host is None else {"host": file.route_host}
            changed.append(rule)
        paths = (rule.get("http") or {}).get("paths") or []
        rule["http"] = {"paths": [_path(file, service, path_type), *paths]}
    return changed


def without_paths(
    rules: Iterable[Mapping[str, Any]], files: Iterable[FileResponse], *, services: Collection[str]
) -> list[dict[str, Any]]:
    """Return the rules of an Ingress without the paths of these files that lead to one of these Services.

    A rule that has no other path goes, too.
    """
    gone = {(file.route_host, file.path, service) for file in files for service in services}
    kept: list[dict[str, Any]] = []
    for rule in rules:
        paths = (rule.get("http") or {}).get("paths") or []
        left = [path for path in paths if (rule.get("host") or None, path.get("path"), _service(path)) not in gone]
        if len(left) == len(paths):
            kept.append(dict(rule))
        elif left:
            kept.append({**rule, "http": {**rule["http"], "paths": left}})
    return kept


def has_paths(rules: Iterable[Mapping[str, Any]], files: Iterable[FileResponse], *, service: str) -> bool:
    """Whether the rules of an Ingress have a path for each of these files that leads to this Service."""
    there = {
        (rule.get("host") or None, path.get("path"), _service(path))
        for rule in rules
        for path in (rule.get("http") or {}).get("paths") or ()
    }
    return all((file.route_host, file.path, service) in there for file in files)


def has_challenges(rules: Iterable[Mapping[str, Any]]) -> bool:
    """Whether there are paths of any challenge in the rules of an Ingress."""
    paths = (path for rule in rules for path in (rule.get("http") or {}).get("paths") or ())
    return any(str(path.get("path")).startswith(WELL_KNOWN_PATH) for path in paths)


def http_routes(
    owner: Owner, name: str, files: Sequence[FileResponse], route: GatewayRoute
) -> list[tuple[str, Manifest]]:
    """Return the HTTPRoutes for these files by name: one for each 16 of them, as one route holds no more hosts.

    Those for addresses are in routes without hosts, which serve every host of the Gateway's listeners.
    """
    made = []
    named = _batched(sorted(one for one in files if one.route_host is not None), MAX_HOSTNAMES)
    bare = _batched(sorted(one for one in files if one.route_host is None), MAX_HOSTNAMES)
    for number, some in enumerate([*named, *bare]):
        own_name = name if number == 0 else f"{name}-{number}"
        hosts = sorted({file.route_host for file in some if file.route_host is not None})
        manifest = {
            "apiVersion": HTTP_ROUTES.api_version,
            "kind": "HTTPRoute",
            "metadata": metadata(owner, own_name, labels=route.labels),
            "spec": {
                "parentRefs": [dict(parent) for parent in route.parent_refs],
                **({"hostnames": hosts} if hosts else {}),
                "rules": [
                    {
                        "matches": [{"path": {"type": "Exact", "value": file.path}} for file in some],
                        "backendRefs": [{"name": name, "port": PORT}],
                    }
                ],
            },
        }
        made.append((own_name, manifest))
    return made


def _service(path: Mapping[str, Any]) -> str | None:
    name: str | None = ((path.get("backend") or {}).get("service") or {}).get("name")
    return name


def _path(file: FileResponse, service: str, path_type: PathType) -> dict[str, Any]:
    backend = {"service": {"name": service, "port": {"number": PORT}}}
    return {"path": file.path, "pathType": path_type, "backend": backend}


def _batched(files: Sequence[FileResponse], size: int) -> Iterable[Sequence[FileResponse]]:
    return (files[start : start + size] for start in range(0, len(files), size))
