"""Completion for shells and for kubectl, in cobra's format, which kubectl uses.

One list of candidates serves bash, zsh, fish and `kubectl_complete-certwright`: commands and options come from the
command line itself, and object names from the API server, with a short timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from typer.main import get_command

from certwright.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

SECONDS: Final = 3.0
"""For the API server; a shell is waiting."""
MOST: Final = 500
NO_FILES: Final = ":4"
"""cobra's ShellCompDirectiveNoFileComp."""
FILES: Final = ":0"
OBJECTS: Final = frozenset({"status", "explain", "renew", "revoke", "rollback", "cancel", "pause", "resume"})
"""The commands whose arguments are names of Certificates."""
FOLDERS: Final = frozenset({"renew", "revoke", "info", "ari", "reconfigure", "delete"})
"""The commands of `certwright acme` whose arguments are certificates in the folder."""
SCRIPTS: Final = {
    "bash": """_certwright() {
    local IFS=$'\\n'
    COMPREPLY=($(certwright complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | grep -v '^:' | cut -f1))
}
complete -o default -F _certwright certwright
""",
    "zsh": """#compdef certwright
_certwright() {
    local -a found
    found=(${(f)"$(certwright complete -- ${words[2,CURRENT]} 2>/dev/null | grep -v '^:' | cut -f1)"})
    if (( ${#found} )); then compadd -a found; else _files; fi
}
compdef _certwright certwright
""",
    "fish": """complete -c certwright -f -a '(certwright complete -- (commandline -opc)[2..] (commandline -ct) \\
    2>/dev/null | string match -v ":*")'
""",
}


def complete(app: typer.Typer, words: Sequence[str]) -> str:
    """Return what may follow as kubectl reads it: one candidate a line, then a directive.

    Args:
        app: Whose commands these are.
        words: What was typed after its name; the last word is the one to complete.
    """
    return _answer(get_command(app), words)


def _answer(root: Any, words: Sequence[str]) -> str:
    *before, last = words or [""]
    command, path, pending, seen = _walk(root, before)
    found: list[tuple[str, str]] = []
    if pending is not None:
        found = _values(pending, before)
        if not found:
            return _takes_files(pending)
    elif last.startswith("-"):
        found = [(name, option.help or "") for option, name in _options(command)]
    elif hasattr(command, "commands"):
        found = [(name, one.get_short_help_str(limit=80)) for name, one in command.commands.items() if not one.hidden]
    elif path[:1] == ["dns"] and len(path) > 1 and not seen:
        found = [(name, "") for name in _dns_providers(before)]
    elif path[:1] == ["acme"] and path[-1] in FOLDERS:
        found = [(name, "") for name in _folder_names(before) if name not in seen]
    elif path and path[-1] in OBJECTS and "acme" not in path:
        found = [(name, "") for name in _object_names(before) if name not in seen]
    fitting = [(name, text) for name, text in found if name.startswith(last)]
    lines = [f"{name}\t{printable(text, 80)}" if text else name for name, text in fitting]
    return "\n".join([*lines, NO_FILES])


def _walk(root: Any, words: Sequence[str]) -> tuple[Any, list[str], Any, list[str]]:
    """Return the command that the words lead to, its path, the option that waits for a value, and the arguments."""
    command, path, pending = root, [], None
    seen: list[str] = []
    for word in words:
        if pending is not None:
            pending = None
        elif word.startswith("-"):
            pending = next(
                (
                    option
                    for option, name in _options(command)
                    if name == word and not option.is_flag and not option.count
                ),
                None,
            )
        elif hasattr(command, "commands") and word in command.commands:
            command = command.commands[word]
            path.append(word)
        else:
            seen.append(word)
    return command, path, pending, seen


def _options(command: Any) -> list[tuple[Any, str]]:
    return [
        (option, name)
        for option in command.params
        if option.param_type_name == "option" and not getattr(option, "hidden", False)
        for name in (*option.opts, *option.secondary_opts)
    ]


def _values(option: Any, words: Sequence[str]) -> list[tuple[str, str]]:
    annotation = _annotation(option)
    values = (
        list(annotation) if isinstance(annotation, type) and issubclass(annotation, StrEnum) else get_args(annotation)
    )
    choices = [str(choice) for choice in values if isinstance(choice, str)]
    if choices:
        return [(choice, "") for choice in choices]
    names = {"namespace": _namespaces, "context": _contexts, "issuer": _issuers, "dns": _dns_providers}
    ask = names.get(str(option.name))
    return [(name, "") for name in ask(words)] if ask is not None else []


def _takes_files(option: Any) -> str:
    annotation = _annotation(option)
    is_path = annotation is Path or Path in get_args(annotation)
    return FILES if option.name in {"kubeconfig", "dns_credentials"} or is_path else NO_FILES


def _annotation(option: Any) -> Any:
    return getattr(getattr(option, "type_descriptor", None), "annotation", None)


def _given(words: Sequence[str], *names: str) -> str | None:
    for number, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else words[number + 1] if number + 1 < len(words) else None
    return None


def _contexts(words: Sequence[str]) -> list[str]:
    from certwright.kube.kubeconfig import NoCredentials, context_names

    with contextlib.suppress(NoCredentials):
        return context_names(_given(words, "--kubeconfig"))
    return []


def _namespaces(words: Sequence[str]) -> list[str]:
    return _listed(words, "namespaces", core=True)


def _object_names(words: Sequence[str]) -> list[str]:
    return _listed(words, "certificates")


def _issuers(words: Sequence[str]) -> list[str]:
    return _listed(words, "issuers") + [f"clusterissuer/{name}" for name in _listed(words, "clusterissuers")]


def _dns_providers(_words: Sequence[str]) -> list[str]:
    from certwright.cli.acme.dns_credentials import all_providers

    return all_providers()


def _folder_names(words: Sequence[str]) -> list[str]:
    """Return the names of the certificates of `certwright acme`; none if their folder cannot be read."""
    from certwright.cli.acme.certificate_store import CertificateStore
    from certwright.cli.acme.session import data_folder
    from certwright.cli.exits import CommandError

    given = _given(words, "--dir") or os.environ.get("CERTWRIGHT_ACME_DIR")
    with contextlib.suppress(CommandError, OSError):
        folder = Path(given) if given else data_folder()
        return [one.name for one in CertificateStore(folder / "certificates").all()][:MOST]
    return []


def _listed(words: Sequence[str], plural: str, *, core: bool = False) -> list[str]:
    """Return names from the API server; none if it is slow, or refuses."""
    from certwright.cli.cluster.connection import CORE, OURS, Target, session
    from certwright.cli.cluster.views import text_at
    from certwright.cli.exits import CommandError

    target = Target(_given(words, "--kubeconfig"), _given(words, "--context"), _given(words, "-n", "--namespace"))

    async def names() -> list[str]:
        async with asyncio.timeout(SECONDS), session(target) as connected:
            namespace = connected.namespace if plural in {"certificates", "issuers"} else None
            found = await connected.list_all(plural, namespace, root=CORE if core else OURS, most=MOST)
            return [text_at(one, "metadata", "name") for one in found.items]

    with contextlib.suppress(CommandError, TimeoutError):
        return asyncio.run(names())
    return []
