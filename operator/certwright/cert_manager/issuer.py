"""Translates an Issuer or ClusterIssuer of cert-manager into one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from certwright.cert_manager import api
from certwright.cert_manager.controller_flags import ControllerFlags
from certwright.cert_manager.manifest import Built, Source, finished, moved_metadata, told_unknown
from certwright.cert_manager.solver import move_solver
from certwright.cert_manager.spec import mapping, without_empty
from certwright.cert_manager.translation import Notes, Translation
from certwright.resources import ClusterIssuer, Issuer, IssuerSpec
from certwright.resources.issuer import ClusterIssuerSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME: Final = frozenset(
    {
        "email",
        "server",
        "preferredChain",
        "caBundle",
        "skipTLSVerify",
        "externalAccountBinding",
        "privateKeySecretRef",
        "disableAccountKeyGeneration",
        "enableDurationFeature",
        "profile",
    }
)
"""Fields of `spec.acme` of the same name and meaning."""
_REMEDIES: Final = {
    "ca": "keep it with cert-manager, or put an ACME CA in front of the CA, such as step-ca",
    "selfSigned": "keep it with cert-manager; a self-signed certificate needs no CA",
    "vault": "keep it with cert-manager, or use Vault's own ACME server (Vault 1.14 and later)",
    "venafi": "keep it with cert-manager, or use the ACME server of the product",
}


def issuer_type(manifest: Mapping[str, Any]) -> str | None:
    """Return the type of an issuer of cert-manager, ``acme`` or one of `api.NOT_ACME`, or None if it names none."""
    spec = mapping(manifest.get("spec"))
    return next((one for one in ("acme", *api.NOT_ACME) if spec.get(one) is not None), None)


def translate_issuer(manifest: Mapping[str, Any], *, flags: ControllerFlags | None = None) -> Translation:
    """Return an Issuer or a ClusterIssuer of cert-manager in our terms.

    The Secrets that it refers to keep their names: those of a ClusterIssuer have to be copied from cert-manager's
    cluster resource namespace into the operator's.

    Args:
        manifest: The object, of ``cert-manager.io/v1``, as the API server or a file has it.
        flags: Of cert-manager's controller; None for the defaults.
    """
    kind = "ClusterIssuer" if manifest.get("kind") == "ClusterIssuer" else "Issuer"
    source, notes = Source.of(manifest, kind), Notes()
    if not source.is_readable(notes):
        return finished(source, None, notes)
    spec = mapping(manifest.get("spec"))
    held = issuer_type(manifest)
    if held != "acme":
        what = f"an issuer of type {held} is not an ACME issuer" if held else "names no type of issuer"
        notes.refuse(f"spec.{held}" if held else "spec", what, _REMEDIES.get(held or "", ""))
        return finished(source, None, notes)
    for name in spec:
        if name != "acme":
            told_unknown(f"spec.{name}", notes)
    ours = _acme(without_empty(mapping(spec["acme"])), kind, flags or ControllerFlags(), notes)
    metadata, body = moved_metadata(manifest, source), {"acme": ours}
    if kind == "ClusterIssuer":
        return finished(source, Built(ClusterIssuer, ClusterIssuerSpec, metadata, body), notes)
    return finished(source, Built(Issuer, IssuerSpec, metadata, body), notes)


def _acme(given: Mapping[str, Any], kind: str, flags: ControllerFlags, notes: Notes) -> dict[str, Any]:
    ours = {name: value for name, value in given.items() if name in SAME}
    for name in given.keys() - SAME - {"solvers"}:
        told_unknown(f"spec.acme.{name}", notes)
    solvers = given.get("solvers")
    if not isinstance(solvers, list) or not solvers:
        notes.refuse("spec.acme.solvers", "is empty: no name can be validated, there either", "add a solver")
        return ours
    ours["solvers"] = [
        move_solver(mapping(one), f"spec.acme.solvers[{at}]", kind, flags, notes) for at, one in enumerate(solvers)
    ]
    return ours
