"""What the page of a DNS provider does not have to say itself: its fields, the command line, the library.

All of it is made of the provider's model and of the Issuer that the page shows, and is put before what follows that.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from certwright.cli.acme.dns_credentials import PREFIX, variables_of
from certwright.dns.providers import PROVIDERS, config_type, find_name
from certwright.resources.dns_providers.fields import Settings, fields_of, name_in_issuer, provider_models
from certwright.resources.references import SecretKeyRef

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sphinx.application import Sphinx

    from certwright.resources.base import Model
    from certwright.resources.dns_providers.fields import ProviderField

FOLDER: Final = "providers/"
_YAML: Final = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NEXT: Final = ("\n## What it does\n", "\n## Troubleshooting\n")
_WIDTH: Final = 96
_IN_FILE: Final = "in a file"
_PLACE: Final = "/etc/certwright"
_UNSEEN: Final = "paste it here"
"""A secret that the page does not show."""


@dataclass(frozen=True)
class Shown:
    """What a page shows of its provider.

    Attributes:
        name: The provider, as `certwright.dns.providers` has it.
        values: Its fields in the Issuer.
        secrets: The entries of the Secrets on the page, by the name of the Secret.
    """

    name: str
    values: Mapping[str, Any]
    secrets: Mapping[str, Mapping[str, str]]

    @property
    def settings(self) -> dict[str, Any]:
        """The fields as they are outside of Kubernetes."""
        return _outside(fields_of(provider_models()[self.name]), self.values, self.secrets, "")

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments for `open_provider`; a `Path` stands for what is in a file."""
        made = Settings(provider_models()[self.name], self.settings, lambda path, _: (path, _IN_FILE), str)
        usual = {one.name: one.default for one in fields(config_type(self.name))}  # type: ignore[arg-type]  # a dataclass
        secret = {name: made.secret(one) for name, one in made.model.credentials().items()}
        texts = {name: Path(text) if where == _IN_FILE else text for name, (text, where) in secret.items()}
        return {
            name: value
            for name, value in made.model.arguments(texts).items()
            if value != usual.get(name, MISSING) and value not in (None, (), {})
        }


def shown_on(page: str) -> Shown | None:
    """Return what a page shows first; None if that is no provider of the library."""
    for block in _YAML.findall(page):
        documents = [one for one in yaml.safe_load_all(block) if isinstance(one, dict)]
        secrets = {
            one["metadata"]["name"]: {**(one.get("stringData") or {}), **(one.get("data") or {})}
            for one in documents
            if one.get("kind") == "Secret"
        }
        for one in documents:
            for solver in ((one.get("spec") or {}).get("acme") or {}).get("solvers") or ():
                for field, values in (solver.get("dns01") or {}).items():
                    name = find_name(field)
                    if name is not None and isinstance(values, dict):
                        return Shown(name, values, secrets)
    return None


def _outside(
    known: Sequence[ProviderField], values: Mapping[str, Any], secrets: Mapping[str, Mapping[str, str]], path: str
) -> dict[str, Any]:
    by_issuer = {field.issuer: field for field in known}
    made: dict[str, Any] = {}
    for key, value in values.items():
        field = by_issuer[f"{path}{key}"]
        if field.is_for_issuers:
            continue
        name = key.removesuffix("SecretRef") if field.is_secret else field.name.rpartition(".")[2]
        if field.is_secret:
            text = secrets.get(value["name"], {}).get(value.get("key", ""), _UNSEEN)
            long = "\n" in text.strip() or text.lstrip().startswith("{")
            made[field.file.rpartition(".")[2] if long else name] = f"{value['name']}.json" if long else text
        elif isinstance(value, dict) and any(one.issuer.startswith(f"{path}{key}.") for one in known):
            made[name] = _outside(known, value, secrets, f"{path}{key}.")
        elif isinstance(value, dict):
            made[name] = {key: _of_map(one, secrets) for key, one in value.items()}
        else:
            made[name] = value
    return made


def _of_map(value: Any, secrets: Mapping[str, Mapping[str, str]]) -> Any:
    """Return an entry of a map, which may be a reference to a secret."""
    if isinstance(value, dict) and value.keys() == {*SecretKeyRef.model_fields}:
        return secrets.get(value["name"], {}).get(value["key"], _UNSEEN)
    return value


def completed(page: str) -> str:
    """Return a page with the parts that are made of the description."""
    shown = shown_on(page)
    if shown is None:
        return page
    made = "\n".join(_parts(shown))
    for heading in _NEXT:
        before, found, after = page.partition(heading)
        if found:
            return f"{before}\n{made}{found}{after}"
    return f"{page.rstrip()}\n\n{made}"


def _parts(shown: Shown) -> Iterator[str]:
    name, file = name_in_issuer(shown.name), f"{_PLACE}/{shown.name.replace('_', '-')}.yaml"
    option = f" --dns-credentials {file}" if shown.settings else ""
    yield from ("## Command line", "")
    if shown.settings:
        yield from (f"`{file}`:", "", "```yaml", yaml.safe_dump(shown.settings, sort_keys=False).rstrip(), "```", "")
    yield from ("```console", f"$ certwright dns check {name} www.example.com{option}")
    yield from (f"$ certwright acme issue www.example.com --dns {name}{option}", "```", "")
    yield f"[The command line](../cli.md#dns-providers) explains the file. Without one, {_variables(shown.name)}."
    yield from ("", "## Python", "", "```python", *_program(shown), "```", "")
    yield from ("[The library](../library/solvers.md#dns-services) explains it.", "", "## Fields", "")
    yield from _table(provider_models()[shown.name])
    yield ""


def _variables(name: str) -> str:
    listed = ", ".join(f"`{PREFIX}{one}`" for one in variables_of(name) if not one.endswith("_FILE"))
    return f"the fields are read from {listed}"


def _program(shown: Shown) -> Iterator[str]:
    name = name_in_issuer(shown.name)
    given = [f'"{name}"', *(f"{name}={_quoted(value)}" for name, value in shown.arguments.items())]
    start = f"async with open_provider({', '.join(given)}) as provider:"
    if len(start) <= _WIDTH:
        yield start
    else:
        yield from ("async with open_provider(", *(f"    {one}," for one in given), ") as provider:")
    yield '    certificate = await issue(client, ["www.example.com"], solvers=[Dns01(provider, DnsView())])'


def _quoted(value: Any) -> str:
    if isinstance(value, Path):
        return f'Path("{value}").read_text()'
    return f'"{value}"' if isinstance(value, str) and '"' not in value and "\n" not in value else repr(value)


def _table(model: type[Model]) -> Iterator[str]:
    yield "| Issuer | Command line | Python | Meaning |"
    yield "|---|---|---|---|"
    for field in fields_of(model):
        outside = f"`{field.name}`" + (f" or `{field.file}`" if field.has_file else "")
        shown = "- | -" if field.is_for_issuers else f"{outside} | `{field.attribute}`"
        yield f"| `{field.issuer}` | {shown} | {_meaning(field)} |"


def _meaning(field: ProviderField) -> str:
    parts = ["Required."] if field.is_required else []
    parts.append(field.meaning)
    if field.values:
        parts.append(f"One of {', '.join(f'`{value}`' for value in field.values)}.")
    if field.default is not None:
        parts.append(f"Default: `{field.default}`.")
    return " ".join(parts).replace("|", "\\|")


def pages_of(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return which pages show each provider, by their names."""
    found: dict[str, list[str]] = {name: [] for name in PROVIDERS}
    for page, text in texts.items():
        if (shown := shown_on(text)) is not None:
            found[shown.name].append(page)
    return found


def _read(_app: Sphinx, page: str, source: list[str]) -> None:
    if page.startswith(FOLDER):
        source[0] = completed(source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
