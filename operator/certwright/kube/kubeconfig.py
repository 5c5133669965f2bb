"""Reads kubeconfig files as kubectl does: several are merged, and paths are relative to their file."""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

MAX_BYTES: Final = 4 * 1024 * 1024
"""More than any kubeconfig, and any file that one names, has."""
DEFAULT_PATH: Final = Path(".kube") / "config"


class NoCredentials(Exception):
    """There are no credentials for an API server, or they cannot be used. The message is for people."""


@dataclass(frozen=True)
class Section:
    """A cluster or a user of a kubeconfig.

    Attributes:
        content: Its fields.
        folder: Where its relative paths begin: the folder of the file that it is in.
        name: What it is, for messages: "user dev".
    """

    content: dict[str, Any]
    folder: Path
    name: str

    def text(self, field: str) -> str | None:
        """Return a field, None if it is missing or empty.

        Raises:
            NoCredentials: It is no text.
        """
        value = self.content.get(field)
        if value is not None and not isinstance(value, str):
            raise NoCredentials(f"{field} of {self.name} is not a text")
        return value or None

    def path(self, field: str) -> Path | None:
        """Return the path that a field has, absolute."""
        value = self.text(field)
        return None if value is None else self.folder / value

    def data(self, field: str) -> bytes | None:
        """Return the content of `<field>-data`, else of the file that `<field>` names, else None.

        Raises:
            NoCredentials: It is not base64, or the file cannot be read.
        """
        inline = self.text(f"{field}-data")
        if inline is not None:
            try:
                return base64.b64decode(inline, validate=True)
            except binascii.Error:
                raise NoCredentials(f"{field}-data of {self.name} is not base64") from None
        path = self.path(field)
        return None if path is None else read(path)


@dataclass(frozen=True)
class Context:
    """What the current context of a kubeconfig leads to.

    Attributes:
        cluster: The API server.
        user: Who we are there.
        namespace: The context's namespace, or None.
    """

    cluster: Section
    user: Section
    namespace: str | None


def paths(kubeconfig: str | None) -> list[Path]:
    """Return the kubeconfig files to read: the one given, those of ``KUBECONFIG``, or ``~/.kube/config``."""
    if kubeconfig is not None:
        return [Path(kubeconfig)]
    listed = [text for text in os.environ.get("KUBECONFIG", "").split(os.pathsep) if text]
    return [Path(text).expanduser() for text in listed] or [Path.home() / DEFAULT_PATH]


def load(kubeconfig: str | None, context: str | None = None) -> Context:
    """Return the current context, or the one of a name. What the first of several files says counts.

    Raises:
        NoCredentials: A file is missing or damaged, or the context is incomplete.
    """
    files = paths(kubeconfig)
    merged: dict[str, dict[str, Section]] = {"clusters": {}, "users": {}, "contexts": {}}
    current = ""
    found = [path for path in files if kubeconfig is not None or path.exists()]
    if not found:
        raise NoCredentials(f"there is no {' or '.join(map(str, files))}")
    for path in found:
        document = _document(path)
        current = current or str(document.get("current-context") or "")
        for kind, sections in merged.items():
            for name, content in _entries(document, kind, path):
                sections.setdefault(name, Section(content, path.absolute().parent, f"{kind[:-1]} {name}"))
    if context is not None and context not in merged["contexts"]:
        raise NoCredentials(f"there is no context {context}: kubectl config get-contexts")
    return _context(merged, context or current)


def context_names(kubeconfig: str | None) -> list[str]:
    """Return the names of all contexts, in the order of the files.

    Raises:
        NoCredentials: A file is damaged.
    """
    files = [path for path in paths(kubeconfig) if path.exists()]
    return list(dict.fromkeys(name for path in files for name, _ in _entries(_document(path), "contexts", path)))


def read(path: Path) -> bytes:
    """Read a file that a kubeconfig names.

    Raises:
        NoCredentials: It cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NoCredentials(f"cannot read {path}: {os.strerror(error.errno or 0).lower()}") from None
    if len(content) > MAX_BYTES:
        raise NoCredentials(f"{path} is longer than {MAX_BYTES} bytes")
    return content


def _document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(read(path))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise NoCredentials(f"{path} is not YAML") from None
    if not isinstance(document, dict):
        raise NoCredentials(f"{path} is not a kubeconfig")
    return document


def _entries(document: dict[str, Any], kind: str, path: Path) -> list[tuple[str, dict[str, Any]]]:
    entries = document.get(kind) or []
    if not isinstance(entries, list):
        raise NoCredentials(f"{kind} of {path} is not a list")
    found = []
    for entry in entries:
        content = entry.get(kind[:-1]) if isinstance(entry, dict) else None
        if not isinstance(entry, dict) or not isinstance(content or {}, dict):
            raise NoCredentials(f"{kind} of {path} has an entry that is none")
        found.append((str(entry.get("name", "")), content or {}))
    return found


def _context(merged: dict[str, dict[str, Section]], current: str) -> Context:
    if not current:
        raise NoCredentials("current-context is not set: kubectl config use-context NAME")
    context = merged["contexts"].get(current)
    if context is None:
        raise NoCredentials(f"current-context is {current}, and there is no such context")
    cluster = merged["clusters"].get(context.text("cluster") or "")
    if cluster is None:
        raise NoCredentials(f"{context.name} names the cluster {context.text('cluster')}, which is not defined")
    name = context.text("user")
    user = merged["users"].get(name) if name else Section({}, context.folder, "no user")
    if user is None:
        raise NoCredentials(f"{context.name} names the user {name}, who is not defined")
    return Context(cluster, user, context.text("namespace"))
