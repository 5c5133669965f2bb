"""The credentials and settings of a DNS provider, from a file or from the environment: `--dns-credentials`.

They are the fields of an Issuer's solver, except that `apiTokenSecretRef` is `apiToken` with the secret itself, or
`apiTokenFile` with the path of a file. Only what uses a provider loads the models, which know the fields.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.acme.exits import UsageError
from certwright.cli.acme.files import read_file
from certwright.dns.credential import Credential
from certwright.dns.providers import PROVIDERS, configure, find_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from certwright.dns.provider import ProviderConfig

PREFIX: Final = "CERTWRIGHT_DNS_"
"""How the environment variables start that are read where there is no file: `CERTWRIGHT_DNS_API_TOKEN`."""
MAX_BYTES: Final = 64 * 1024
"""Of a file with credentials; the longest are keys in JSON."""
_FILE: Final = "_FILE"

_Values = dict[str, Any]


def provider_name(text: str) -> str:
    """Return the provider that a text names, as `certwright.dns.providers` has it.

    Raises:
        UsageError: There is no such provider.
    """
    found = find_name(text)
    if found is None:
        raise UsageError(f"There is no DNS provider {text[:100]!r}; certwright dns list shows all of them")
    return found


def load_config(name: str, path: Path | None, warn_of_readers: Callable[[Path], object]) -> ProviderConfig:
    """Return the configuration of a provider.

    Args:
        name: Of the provider, as `provider_name` returns it.
        path: The file with its fields, in YAML or JSON; None for the environment.
        warn_of_readers: Called with each file that holds secrets, to warn if others can read it.

    Raises:
        CommandError: A file cannot be read.
        UsageError: The fields are not those of the provider; the message names field and file, and shows no value.
        DnsError: A credential cannot be used.
    """
    from certwright.resources.dns_providers.fields import (
        InvalidSettings,
        Settings,
        name_in_issuer,
        provider_models,
    )

    model = provider_models()[name]
    values, written = _from_file(path) if path is not None else _from_environment(name)
    if path is not None:
        warn_of_readers(path)

    def read(given: str, field: str) -> tuple[str, str]:
        file = Path(given) if path is None else path.parent / given
        content = read_file(file, what=f"the file that {written(field)} names", most=MAX_BYTES)
        warn_of_readers(file)
        return content.decode("utf-8", "replace").rstrip("\r\n"), str(file)

    try:
        settings = Settings(model, values, read, written)
    except InvalidSettings as error:
        raise _refusal(name_in_issuer(name), path, error.problems) from None
    found = {
        field: Credential(*settings.secret(reference)) for field, reference in settings.model.credentials().items()
    }
    # Whoever runs the command may use what the host may use.
    return configure(name, settings.model.arguments(found), ambient=True)


def _refusal(provider: str, path: Path | None, problems: tuple[str, ...]) -> UsageError:
    if path is not None:
        return UsageError(f"{path}, for {provider}: {'; '.join(problems)}")
    return UsageError(
        f"{provider}: {'; '.join(problems)}. Give its fields in a file, with --dns-credentials, or in environment "
        f"variables such as {PREFIX}API_TOKEN; see certwright dns list {provider}"
    )


def _from_file(path: Path) -> tuple[_Values, Callable[[str], str]]:
    content = read_file(path, what="the credentials of the DNS provider", most=MAX_BYTES)
    try:
        text = content.decode()
        found = json.loads(text, object_pairs_hook=_each_once) if text.lstrip()[:1] == "{" else _yaml(text)
    except _Unreadable as error:
        raise UsageError(f"{path}: {error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text in UTF-8") from None
    except (json.JSONDecodeError, RecursionError) as error:
        # The parser's own message may quote a secret.
        place = f", at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"{path} is not valid JSON{place}") from None
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise UsageError(f"{path} has no fields: write them like apiToken: SECRET, in YAML or JSON")
    return found, lambda field: f"{field} in {path}"


class _Unreadable(Exception):
    """A file is neither YAML nor JSON; the message shows nothing of it."""


def _each_once(pairs: list[tuple[str, Any]]) -> _Values:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _Unreadable("a field is there twice")
    return dict(pairs)


def _yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses what YAML has and settings have no use for: a field twice, and aliases, which can grow a file."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                raise _Unreadable("aliases (*name) are not supported")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - the base class's form
            keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
            if len(set(map(str, keys))) < len(keys):
                raise _Unreadable("a field is there twice")
            return super().construct_mapping(node, deep)

    try:
        return yaml.load(text, Loader)  # noqa: S506 - made of the safe one
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", at line {mark.line + 1}" if mark is not None else ""
        raise _Unreadable(f"it is not valid YAML{place}") from None
    except (ValueError, RecursionError):
        raise _Unreadable("it has a value that cannot be read, or is nested too deeply") from None


def _from_environment(name: str) -> tuple[_Values, Callable[[str], str]]:
    """Return the fields that are in the environment, and which variable each is from."""
    given = {key.removeprefix(PREFIX): value for key, value in os.environ.items() if key.startswith(PREFIX)}
    variables = variables_of(name)
    if unknown := sorted(given.keys() - variables.keys()):
        known = ", ".join(f"{PREFIX}{one}" for one in variables)
        raise UsageError(f"{PREFIX}{unknown[0]} is not a field of the DNS provider {name}: those are {known or 'none'}")
    values = {variables[key]: value for key, value in given.items() if value}
    origins = {field: f"${PREFIX}{key}" for key, field in variables.items()}
    return values, lambda field: origins.get(field, field)


def variables_of(name: str) -> Mapping[str, str]:
    """Return the fields that a provider takes from the environment: the ends of the variables, and the fields."""
    from certwright.resources.dns_providers.fields import fields_of, provider_models

    found: dict[str, str] = {}
    fields = fields_of(provider_models()[name])
    # A variable is a text: an object is for a file.
    objects = {field.name.rpartition(".")[0] for field in fields if field.is_nested}
    for field in fields:
        if field.is_nested or field.is_for_issuers or field.name in objects:
            continue
        variable = field.attribute.upper()
        found.setdefault(variable, field.name)
        if field.is_secret or field.has_file:
            found[f"{variable}{_FILE}"] = field.file
    return found


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what providers are given there, for programs of others."""
    return {name: value for name, value in environment.items() if not name.startswith(PREFIX)}


def all_providers() -> list[str]:
    """Return the names of all providers, as they are in an Issuer."""
    from certwright.resources.dns_providers.fields import name_in_issuer

    return sorted((name_in_issuer(name) for name in PROVIDERS), key=str.lower)
