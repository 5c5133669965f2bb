"""Tell vulnerability scanners which Debian packages the image's files come from, and include their licences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from .tree import Tree

STATUS: Final = "/var/lib/dpkg/status"
LISTS: Final = "/var/lib/dpkg/info"


def describe_packages(tree: Tree) -> list[str]:
    """Write one file a package below `/var/lib/dpkg/status.d`, where scanners look in images without a package manager.

    A base other than Debian gets none.
    """
    status = tree.source / STATUS.lstrip("/")
    if not status.exists():
        return []
    stanzas = _stanzas(status)
    owners = _owners(tree.source / LISTS.lstrip("/"))
    names = sorted({owners[path] for path in tree.copied if path in owners})
    for name in names:
        tree.write(f"/var/lib/dpkg/status.d/{name}", stanzas[name] + "\n")
        copyright_file = f"/usr/share/doc/{name}/copyright"
        if (tree.source / copyright_file.lstrip("/")).exists():
            tree.add(copyright_file)
    return names


def _stanzas(status: Path) -> dict[str, str]:
    found = {}
    for stanza in status.read_text("utf-8").split("\n\n"):
        first = stanza.lstrip().partition("\n")[0]
        if first.startswith("Package: "):
            found[first.removeprefix("Package: ")] = stanza.strip()
    return found


def _owners(lists: Path) -> dict[str, str]:
    owners = {}
    for file in sorted(lists.glob("*.list")):
        name = file.stem.partition(":")[0]
        for path in file.read_text("utf-8").splitlines():
            owners[path] = name
            # Packages older than the merge of / and /usr say /lib for what lies in /usr/lib.
            if path.startswith(("/lib/", "/lib64/", "/bin/", "/sbin/")):
                owners[f"/usr{path}"] = name
    return owners
