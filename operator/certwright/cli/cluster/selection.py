"""Selects the Certificates for a command: by name, label or issuer, or all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from certwright.cli.cluster.exits import ExitCode
from certwright.cli.cluster.views import CertificateView
from certwright.cli.exits import CommandError

if TYPE_CHECKING:
    from certwright.cli.cluster.connection import Session

CERTIFICATES: Final = "certificates"
KINDS: Final = {
    "certificate": "Certificate",
    "certificates": "Certificate",
    "cwcert": "Certificate",
    "issuer": "Issuer",
    "issuers": "Issuer",
    "cwiss": "Issuer",
    "clusterissuer": "ClusterIssuer",
    "clusterissuers": "ClusterIssuer",
    "cwciss": "ClusterIssuer",
}
"""How people write a kind."""
PLURALS: Final = {"Certificate": "certificates", "Issuer": "issuers", "ClusterIssuer": "clusterissuers"}


@dataclass(frozen=True)
class Selection:
    """What was asked for on the command line.

    Attributes:
        names: Of Certificates.
        labels: A label selector.
        issuer: An issuer: `pebble`, `clusterissuer/letsencrypt`.
        everything: All of them.
        all_namespaces: In all namespaces.
    """

    names: tuple[str, ...] = ()
    labels: str | None = None
    issuer: str | None = None
    everything: bool = False
    all_namespaces: bool = False

    def check(self, *, must_select: bool) -> None:
        """Refuse what contradicts itself.

        Raises:
            CommandError: It does.
        """
        if self.names and (self.labels or self.issuer or self.everything or self.all_namespaces):
            raise CommandError("Names exclude -l, --issuer, --all and -A.", ExitCode.USAGE)
        if self.everything and (self.labels or self.issuer):
            raise CommandError("--all excludes -l and --issuer.", ExitCode.USAGE)
        if must_select and not (self.names or self.labels or self.issuer or self.everything):
            raise CommandError("Which Certificates? Give names, -l, --issuer or --all.", ExitCode.USAGE)


def split_name(text: str) -> tuple[str, str]:
    """Return kind and name of `NAME` or `KIND/NAME`.

    Raises:
        CommandError: There is no such kind.
    """
    kind, slash, name = text.rpartition("/")
    if not slash:
        return "Certificate", text
    known = _kind(kind)
    if known is None or not name:
        raise CommandError(
            f"{text}: write NAME, certificate/NAME, issuer/NAME or clusterissuer/NAME, and the namespace with -n.",
            ExitCode.USAGE,
        )
    return known, name


def _kind(text: str) -> str | None:
    return KINDS.get(text.lower().removesuffix(".certwright.io"))


async def select(session: Session, selection: Selection, *, must_select: bool) -> tuple[list[CertificateView], bool]:
    """Return the Certificates that are selected, and whether there are more than a command looks at.

    Raises:
        CommandError: One that is named does not exist, or the selection makes no sense.
    """
    selection.check(must_select=must_select)
    issuer = _issuer(selection.issuer)
    if selection.names:
        return [await named(session, text) for text in dict.fromkeys(selection.names)], False
    namespace = None if selection.all_namespaces else session.namespace
    listed = await session.list_all(CERTIFICATES, namespace, labels=selection.labels)
    found = [CertificateView(body) for body in listed.items]
    if issuer is not None:
        found = [one for one in found if issuer in {one.issuer, ("", one.issuer[1])}]
    return found, listed.is_cut


async def named(session: Session, text: str) -> CertificateView:
    """Return the Certificate of a name.

    Raises:
        CommandError: There is none.
    """
    kind, name = split_name(text)
    if kind != "Certificate":
        raise CommandError(f"{text} is not a Certificate.", ExitCode.USAGE)
    body = await session.read(CERTIFICATES, session.namespace, name)
    if body is None:
        raise CommandError(
            f"There is no Certificate {name} in the namespace {session.namespace} (-n chooses another).",
            ExitCode.NOT_FOUND,
        )
    return CertificateView(body)


def _issuer(text: str | None) -> tuple[str, str] | None:
    """Return kind and name of `--issuer`; the kind is empty for any."""
    if text is None:
        return None
    kind, slash, name = text.rpartition("/")
    wanted = _kind(kind) if slash else ""
    if wanted not in {"", "Issuer", "ClusterIssuer"} or not name:
        raise CommandError(f"--issuer {text}: write NAME, issuer/NAME or clusterissuer/NAME.", ExitCode.USAGE)
    return wanted or "", name
