"""Keystores of Certificates: their passwords, whether they need to be created, and creating them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from certwright.certificates.secret.outputs import (
    NO_OUTPUTS,
    Outputs,
    Passwords,
    is_due,
    left_out,
    make_outputs,
    wanted_parts,
)
from certwright.certificates.secret.password_versions import BELIEVED_FOR, PasswordVersions, version_of
from certwright.kube.secrets import EntryTooLarge, decoded, entry_of
from certwright.pki import KeystoreError, check_keystore_password
from certwright.runtime.labour import in_thread
from certwright.text import listed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.certificates.secret.facts import SecretFacts
    from certwright.kube.api import KubeApi
    from certwright.reasons import SpecReason
    from certwright.resources import Certificate
    from certwright.resources.keystores import Keystore

MAX_PASSWORD_BYTES: Final = 1024


@dataclass(frozen=True)
class OutputsProblem:
    """Why something that the spec asks for is not in the Secret: a reason of one word and a message for people."""

    reason: SpecReason
    message: str


@dataclass(frozen=True)
class OutputsLook:
    """What was found when the derived entries of a Secret were last compared with the spec.

    Attributes:
        is_due: Whether they are to be written.
        problem: What stands in the way of some of them.
        generation: Of the spec that they were compared with.
        version: Of the Secret.
        at: When the passwords were known to be the present ones.
        passwords: The versions of the Secrets with the passwords; None if they are not known.
    """

    is_due: bool
    problem: OutputsProblem | None
    generation: int
    version: str
    at: dt.datetime
    passwords: Mapping[str, str] | None = None

    def is_about(self, certificate: Certificate, secret: SecretFacts) -> bool:
        """Whether spec and Secret are as they were."""
        return (self.generation, self.version) == (certificate.metadata.generation, secret.resource_version)

    def is_current(self, now: dt.datetime) -> bool:
        """Whether the passwords need not be looked at again."""
        return dt.timedelta() <= now - self.at < BELIEVED_FOR


async def look_at_outputs(
    certificate: Certificate,
    secret: SecretFacts | None,
    kube_api: KubeApi,
    versions: PasswordVersions,
    *,
    now: dt.datetime,
    last: OutputsLook | None,
) -> OutputsLook | None:
    """Compare the derived entries of a Secret with the spec; None if the spec asks for none and there are none.

    Raises:
        KubeError: The Secret with a password cannot be read.
    """
    if secret is None or secret.certificate is None:
        return None
    if not wanted_parts(certificate.spec) and secret.outputs is None:
        return None
    if last is not None and last.is_about(certificate, secret):
        if last.is_current(now):
            return last
        if last.passwords is not None:
            seen = await versions.of(secret.namespace, last.passwords, kube_api, now)
            if last.passwords == {name: one.version for name, one in seen.items()}:
                # Looks of Certificates that share a Secret fall due together from now on, and are one request.
                return replace(last, at=min((one.at for one in seen.values()), default=now))
    read = await read_passwords(certificate, kube_api)
    for name, body in read.secrets.items():
        versions.note(secret.namespace, name, body, now)
    due, problem = is_due(certificate.spec, read.passwords, secret.outputs), read.problem
    if due and secret.immutable:
        due, problem = False, _immutable(secret)
    known = {name: version_of(body) for name, body in read.secrets.items()}
    return replace(_look(certificate, secret, now, problem, due=due), passwords=known)


def looked_at(
    certificate: Certificate, secret: SecretFacts, problem: OutputsProblem | None, now: dt.datetime
) -> OutputsLook | None:
    """Return what would be found right after the derived entries were written."""
    if not wanted_parts(certificate.spec):
        return None
    return _look(certificate, secret, now, problem, due=False)


def _look(
    certificate: Certificate, secret: SecretFacts, now: dt.datetime, problem: OutputsProblem | None, *, due: bool
) -> OutputsLook:
    if problem is None and not due:
        problem = _no_room(certificate, secret)
    return OutputsLook(due, problem, certificate.metadata.generation, secret.resource_version, now)


def _no_room(certificate: Certificate, secret: SecretFacts) -> OutputsProblem | None:
    missing = left_out(certificate.spec, secret.outputs)
    if not missing:
        return None
    return OutputsProblem(
        "SecretTooLarge",
        f"{listed(missing)} did not fit into Secret {secret.name}, which can hold 1 MiB: the certificate and key are "
        "stored. Request fewer formats or keystores.",
    )


def _immutable(secret: SecretFacts) -> OutputsProblem:
    return OutputsProblem(
        "SecretImmutable",
        f"Secret {secret.name} is immutable, so keystores and other formats cannot be written to it. Delete the Secret "
        "to have it recreated, or choose another secretName.",
    )


async def derived_outputs(
    certificate: Certificate,
    sources: Mapping[str, bytes],
    kube_api: KubeApi,
    *,
    now: dt.datetime,
    before: SecretFacts | None,
    existing: Mapping[str, Any] | None = None,
) -> tuple[Outputs, OutputsProblem | None]:
    """Make the entries that go with a certificate and its key.

    Args:
        certificate: What asks for them.
        sources: tls.crt, tls.key and ca.crt as they will be written.
        kube_api: For the Secrets with the passwords.
        now: What keystores say of their age.
        before: The Secret as it was known: while a password cannot be had, its keystores stay.
        existing: The same as it was read, if it was.

    Raises:
        KubeError: A Secret cannot be read.
        PkiError: The sources cannot be read.
    """
    if not wanted_parts(certificate.spec):
        return NO_OUTPUTS, None
    read = await read_passwords(certificate, kube_api)
    passwords, problem = read.passwords, read.problem
    kept: dict[str, bytes] = {}
    if problem is not None and before is not None and before.outputs is not None:
        if existing is None:
            existing = await kube_api.read_secret(before.namespace, before.name)
        kept = _kept((existing or {}).get("data") or {}, before.outputs.entries)
    outputs = await in_thread(make_outputs, certificate, sources, passwords, now=now, kept=kept)
    return outputs, problem


def _kept(data: Mapping[str, str], entries: tuple[str, ...]) -> dict[str, bytes]:
    kept = {}
    for entry in entries:
        try:
            content = decoded(data, entry)
        except EntryTooLarge:
            continue  # no keystore of ours is so large
        if content:
            kept[entry] = content
    return kept


def passwords_look(certificate: Certificate, last: OutputsLook | None, now: dt.datetime) -> dt.datetime | None:
    """Return when the passwords are to be looked at again: their Secrets are not watched. None without any."""
    keystores = certificate.spec.keystores
    wanted = (keystores.wanted_pkcs12, keystores.wanted_jks) if keystores is not None else ()
    if not any(one is not None and one.password_secret_ref is not None for one in wanted):
        return None
    is_current = last is not None and last.is_current(now)
    return (last.at if last is not None and is_current else now) + BELIEVED_FOR


@dataclass(frozen=True)
class ReadPasswords:
    """What was found in the Secrets with passwords.

    Attributes:
        passwords: Those that can be used.
        problem: The first of what stands in the way of others.
        secrets: The Secrets by their names; None for one that does not exist.
    """

    passwords: Passwords
    problem: OutputsProblem | None
    secrets: Mapping[str, Mapping[str, Any] | None] = field(repr=False)


async def read_passwords(certificate: Certificate, kube_api: KubeApi) -> ReadPasswords:
    """Return the passwords of the keystores that a Certificate asks for, and the first problem with them.

    Raises:
        KubeError: A Secret cannot be read.
    """
    keystores = certificate.spec.keystores
    found: dict[str, str] = {}
    problem: OutputsProblem | None = None
    secrets: dict[str, Mapping[str, Any] | None] = {}
    for part, keystore in (
        ("pkcs12", keystores.wanted_pkcs12 if keystores is not None else None),
        ("jks", keystores.wanted_jks if keystores is not None else None),
    ):
        if keystore is None:
            continue
        reference = keystore.password_secret_ref
        if reference is not None and reference.name not in secrets:
            secrets[reference.name] = await kube_api.read_secret(certificate.metadata.namespace or "", reference.name)
        password = _password(part, keystore, secrets)
        if isinstance(password, OutputsProblem):
            problem = problem or password
        else:
            found[part] = password
    return ReadPasswords(Passwords(**found), problem, secrets)


def _password(part: str, keystore: Keystore, secrets: Mapping[str, Mapping[str, Any] | None]) -> str | OutputsProblem:
    if keystore.password is not None:
        return keystore.password
    reference = keystore.password_secret_ref
    if reference is None:
        raise AssertionError("a keystore without a password")
    name = f"keystore.{'p12' if part == 'pkcs12' else 'jks'}"
    secret = secrets[reference.name]
    if secret is None:
        return _missing(name, f"Secret {reference.name} does not exist")
    try:
        content = entry_of(secret, reference.key)
        if not content:
            return _missing(name, f"Secret {reference.name} has no entry {reference.key}")
        return _checked(content)
    except (KeystoreError, EntryTooLarge) as error:
        message = f"{name} is not written: in {reference.key} of Secret {reference.name}, {error}. {_REST}"
        return OutputsProblem("KeystorePasswordUnusable", message)


def _checked(content: bytes) -> str:
    if len(content) > MAX_PASSWORD_BYTES:
        raise KeystoreError(f"the password is longer than {MAX_PASSWORD_BYTES} bytes")
    password = content.decode("utf-8", "replace")
    if password.endswith("\n"):
        raise KeystoreError("the password ends with a line break, which programs would not type")
    check_keystore_password(password)
    return password


def _missing(name: str, why: str) -> OutputsProblem:
    return OutputsProblem("KeystorePasswordMissing", f"{name} is not written, because {why}. {_REST}")


_REST: Final = (
    "tls.crt and tls.key are still kept up to date. An existing keystore stays as it is until there is a password; "
    "the operator checks again within ten minutes."
)
