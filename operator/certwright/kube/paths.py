"""API paths, in which every name stays a single segment, whatever it contains."""

from __future__ import annotations

from urllib.parse import quote


class UnsafeName(ValueError):
    """A text cannot be a segment of a path: a client or server on the way would read it as another path."""


def segment(text: str) -> str:
    """Return one segment of a path, escaped: a ``/`` in it does not begin another one.

    Raises:
        UnsafeName: It is empty, ``.`` or ``..``, which URLs resolve away even when they are escaped
            (RFC 3986 section 5.2.4).
    """
    if text in {"", ".", ".."}:
        raise UnsafeName(f"{text!r} cannot be the name of an object or namespace")
    return quote(text, safe="")


def object_path(root: str, plural: str, namespace: str | None, name: str | None = None) -> str:
    """Return the path of an object, or of all objects of its kind.

    Args:
        root: What the paths of its API version begin with, such as ``/apis/certwright.io/v1``.
        plural: The resource, such as ``certificates``.
        namespace: Its namespace; None for a cluster-wide one.
        name: Its name; None for the collection.

    Raises:
        UnsafeName: The namespace or the name cannot be in a path.
    """
    middle = f"/namespaces/{segment(namespace)}" if namespace is not None else ""
    return f"{root}{middle}/{plural}" + (f"/{segment(name)}" if name is not None else "")
