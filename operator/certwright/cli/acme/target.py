"""A certificate that a command is about: one that is kept here, by its name, or a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from certwright.cli.acme.certificate_store import CHAIN
from certwright.cli.acme.exits import CommandError, UsageError
from certwright.cli.acme.files import read_file
from certwright.pki import PkiError, parse_chain

if TYPE_CHECKING:
    from certwright.cli.acme.certificate_store import CertificateFolder
    from certwright.cli.acme.recipe import Metadata
    from certwright.cli.acme.session import Session
    from certwright.pki import CertificateChain


@dataclass(frozen=True)
class Target:
    """A certificate.

    Attributes:
        text: How it was named.
        chain: The certificate and what came with it.
        folder: Where it is kept, or None for a file from elsewhere.
        metadata: How it was issued, or None for a file from elsewhere.
    """

    text: str
    chain: CertificateChain
    folder: CertificateFolder | None = None
    metadata: Metadata | None = None

    def server(self, session: Session) -> str:
        """Return the directory URL of its CA; for a file that is the one that is meant by the options."""
        if self.metadata is not None and session.common.server is None:
            return self.metadata.recipe.server
        return session.server()


def find_target(session: Session, text: str) -> Target:
    """Find a certificate by its name here, by a path to it, or by a path into the folder it is kept in.

    Raises:
        UsageError: There is none.
        CommandError: It cannot be read.
    """
    path = Path(text)
    kept = next(
        (
            folder
            for folder in session.certificates.all()
            if text == folder.name or path.absolute() in (folder.path.absolute(), folder.path.absolute() / path.name)
        ),
        None,
    )
    try:
        if kept is not None:
            return Target(text, parse_chain(kept.read(CHAIN)), kept, kept.metadata())
        if not path.is_file():
            known = ", ".join(folder.name for folder in session.certificates.all()) or "none"
            raise UsageError(f"{text} is neither a file nor a certificate in {session.folder}; there are: {known}")
        return Target(text, parse_chain(read_file(path, what="the certificate")))
    except PkiError as error:
        raise CommandError(f"{text}: {error}") from None
