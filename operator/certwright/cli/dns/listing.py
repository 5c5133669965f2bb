"""`certwright dns list`: the providers, and the fields of one."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.acme.dns_credentials import PREFIX, all_providers, provider_name, variables_of
from certwright.cli.acme.session import Outcome
from certwright.resources.dns_providers.fields import fields_of, name_in_issuer, provider_models

if TYPE_CHECKING:
    from collections.abc import Iterator

    from certwright.resources.dns_providers.fields import ProviderField

_WIDTH: Final = 100


async def list_providers(text: str | None) -> Outcome:
    """List the providers with their fields, or those of one with what they mean.

    Raises:
        UsageError: There is no such provider.
    """
    if text is not None:
        name = provider_name(text)
        return Outcome({"providers": [_document(name)]}, list(_details(name)))
    names = [provider_name(one) for one in all_providers()]
    rows = [("PROVIDER", "FIELDS"), *((name_in_issuer(name), _summary(name)) for name in names)]
    width = max(len(provider) for provider, _ in rows)
    lines = [f"{provider:<{width}}  {fields}" for provider, fields in rows]
    lines += ["", "* required; certwright dns list PROVIDER explains them"]
    return Outcome({"providers": [_document(name) for name in names]}, lines)


def _fields(name: str) -> list[ProviderField]:
    return [field for field in fields_of(provider_models()[name]) if not field.is_for_issuers]


def _summary(name: str) -> str:
    return ", ".join(f"{field.name}{'*' if field.is_required else ''}" for field in _fields(name))


def _document(name: str) -> dict[str, Any]:
    model = provider_models()[name]
    fields = [
        {
            "name": field.name,
            "issuer": field.issuer,
            "required": field.is_required,
            "secret": field.is_secret,
            "default": field.default,
            "values": list(field.values),
            "meaning": field.meaning,
        }
        for field in _fields(name)
    ]
    return {"name": name_in_issuer(name), "description": _first(model.__doc__), "fields": fields}


def _details(name: str) -> Iterator[str]:
    model = provider_models()[name]
    yield f"{name_in_issuer(name)}: {_first(model.__doc__)}"
    yield ""
    for field in _fields(name):
        yield field.name + (" (required)" if field.is_required else "")
        yield from textwrap.wrap(_meaning(field), _WIDTH, initial_indent="    ", subsequent_indent="    ")
    yield ""
    yield f"In a file for --dns-credentials, or in {', '.join(f'{PREFIX}{one}' for one in variables_of(name))}"


def _meaning(field: ProviderField) -> str:
    parts = [field.meaning]
    if field.values:
        parts.append(f"One of {', '.join(field.values)}.")
    if field.default is not None:
        parts.append(f"Default: {field.default.strip(chr(34))}.")
    if field.has_file:
        parts.append(f"Or {field.file}, with the path of a file that holds it.")
    return " ".join(parts)


def _first(text: str | None) -> str:
    return (text or "").strip().partition("\n\n")[0].replace("\n", " ")
