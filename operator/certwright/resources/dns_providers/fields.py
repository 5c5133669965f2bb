"""The settings of a DNS provider outside of Kubernetes: its model's fields, with secrets instead of references.

The model is the only description of a provider. `fields_of` lists its settings, for the command line and the
documentation; `Settings` holds values from there, validated with the rules of an Issuer.
"""

import difflib
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from certwright.resources.base import Model
from certwright.resources.descriptions import field_descriptions
from certwright.resources.dns_providers.base import DnsProvider, InCluster
from certwright.resources.dns_providers.choice import ProviderChoice
from certwright.resources.errors import describe
from certwright.resources.references import SecretKeyRef

_REF: Final = "SecretRef"
_FILE: Final = "File"
_BUNDLE: Final = "caBundle"
"""The field for certificates, base64 of PEM in an Issuer; elsewhere also PEM, and in a file."""
_PEM: Final = "-----BEGIN "
_REFERENCE: Final = re.compile(r"\b([a-z][A-Za-z0-9]*)SecretRef\b")
_HELD: Final = re.compile(r"^The Secret entry (?:that holds|that contains|with) ")
_SHOWN: Final = re.compile(r"[A-Za-z]{1,40}")
"""What may be shown of a name that is none of the fields: anything else may be a secret in the wrong place."""


@dataclass(frozen=True)
class ProviderField:
    """A field of a provider.

    Attributes:
        issuer: As an Issuer has it: `apiTokenSecretRef`, `managedIdentity.clientID`.
        name: As it is written outside of Kubernetes: `apiToken`; empty if it means something in a cluster only.
        attribute: As Python has it: `api_token`; empty in the same way.
        help: What it is.
        is_secret: Whether it is a credential, which may be in a file of its own.
        is_required: Whether it has to be there, where its parent is.
        default: What counts without it, as JSON, or None.
        values: What values it takes, if only some.
    """

    issuer: str
    name: str
    attribute: str
    help: str
    is_secret: bool
    is_required: bool
    default: str | None = None
    values: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of the field for the path of a file with the secret or the certificates, which no other has."""
        return f"{self.issuer.removesuffix(_REF)}{_FILE}"

    @property
    def has_file(self) -> bool:
        """Whether `file` can be written in the place of `name`."""
        return (self.is_secret and self.name != self.file) or self.name == _BUNDLE

    @property
    def meaning(self) -> str:
        """What it is, in words that do without Kubernetes."""
        text = _without_references(_HELD.sub("", self.help))
        return text[:1].upper() + text[1:]

    @property
    def is_for_issuers(self) -> bool:
        """Whether it means something in a cluster only."""
        return not self.name

    @property
    def is_nested(self) -> bool:
        """Whether it is a part of another one."""
        return "." in self.issuer


class InvalidSettings(Exception):
    """Settings are not those of the provider.

    Attributes:
        problems: One sentence for each problem, led by the field; none shows a value.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def provider_models() -> Mapping[str, type[DnsProvider]]:
    """Return the model of each provider by its name in `certwright.dns.providers`, and that of webhooks."""
    found: dict[str, type[DnsProvider]] = {}
    for name, info in ProviderChoice.model_fields.items():
        core = _core(info.annotation)
        if isinstance(core, type) and issubclass(core, DnsProvider):
            found[name] = core
    return MappingProxyType(found)


def name_in_issuer(name: str) -> str:
    """Return the field of an Issuer that names a provider: `cloudDNS` for `cloud_dns`."""
    return ProviderChoice.model_fields[name].alias or name


def fields_of(model: type[Model]) -> list[ProviderField]:
    """Return the fields of a provider, parents before children."""
    return list(_fields(model, "", "", ""))


def _fields(model: type[Model], issuer: str, outside: str, attribute: str) -> Iterator[ProviderField]:
    names = _names(model)
    for name, info in model.model_fields.items():
        alias, secret = _alias(name, info), _core(info.annotation) is SecretKeyRef
        if _is_in_cluster(info):
            yield ProviderField(
                f"{issuer}{alias}", "", "", _help(model, name), is_secret=False, is_required=info.is_required()
            )
            continue
        own = name.removesuffix("_secret_ref") if secret else name
        written = next(there for there, (field, _) in names.items() if field == name)
        yield ProviderField(
            f"{issuer}{alias}",
            f"{outside}{written}",
            f"{attribute}{own}",
            _help(model, name),
            secret,
            info.is_required(),
            _default(info),
            tuple(_values(info.annotation)),
        )
        inner = _inner(info.annotation)
        if isinstance(inner, type) and issubclass(inner, Model) and inner is not SecretKeyRef:
            yield from _fields(inner, f"{issuer}{alias}.", f"{outside}{written}.", f"{attribute}{own}.")


def _names(model: type[Model]) -> dict[str, tuple[str, bool]]:
    """Return the names of a model's fields outside of Kubernetes: which field each is, and whether it is a file."""
    plain = {_alias(name, info) for name, info in model.model_fields.items()}
    found: dict[str, tuple[str, bool]] = {}
    for name, info in model.model_fields.items():
        alias = _alias(name, info)
        if _is_in_cluster(info):
            continue
        if _core(info.annotation) is not SecretKeyRef:
            found[alias] = (name, False)
            if alias == _BUNDLE:
                found[f"{alias}{_FILE}"] = (name, True)
            continue
        stem = alias.removesuffix(_REF)
        # Where a field for the value itself exists beside the reference, it is the one to use.
        if stem not in plain:
            found[stem] = (name, False)
        found[f"{stem}{_FILE}"] = (name, True)
    return found


ReadFile = Callable[[str, str], tuple[str, str]]
"""Returns what is in a file, and its path for messages, from what was written and the field where it was written."""


class Settings:
    """Settings of one provider as they are written outside of Kubernetes.

    Args:
        model: The provider's model.
        values: Fields in an Issuer's words, except that `apiTokenSecretRef` is `apiToken` with the secret itself, or
            `apiTokenFile` with the path of a file that holds it.
        read: Reads such a file.
        where: Returns where a field was written, for messages about its secret.

    Attributes:
        model: The model, with references that only `secret` knows.

    Raises:
        InvalidSettings: A field is missing or unknown, or a value is not one that it takes.
    """

    def __init__(
        self, model: type[DnsProvider], values: Mapping[str, Any], read: ReadFile, where: Callable[[str], str]
    ) -> None:
        self._read = read
        self._where = where
        self._problems: list[str] = []
        self._secrets: dict[str, tuple[str, str]] = {}
        written = self._of_model(model, values, "")
        if not self._problems:
            try:
                self.model = model.model_validate(written)
            except ValidationError as error:
                self._problems = [_in_own_words(problem) for problem in describe(error)]
        if self._problems:
            raise InvalidSettings(tuple(self._problems))

    def secret(self, reference: SecretKeyRef) -> tuple[str, str]:
        """Return the secret that a reference stands for, and where it was written."""
        return self._secrets[reference.name]

    def _of_model(self, model: type[Model], values: Mapping[str, Any], path: str) -> dict[str, Any]:
        names, made = _names(model), dict[str, Any]()
        for key, value in values.items():
            if key not in names:
                self._problems.append(_unknown(model, path, key, value))
                continue
            name, is_file = names[key]
            if value is None:
                continue
            alias = _alias(name, model.model_fields[name])
            if alias in made:
                both = " and ".join(f"{path}{there}" for there in names if names[there][0] == name and there in values)
                self._problems.append(f"{both}: give one of them")
            elif alias == _BUNDLE:
                made[alias] = self._bundle(value, f"{path}{key}", is_file=is_file)
            elif is_file:
                made[alias] = self._from_file(value, f"{path}{key}")
            else:
                made[alias] = self._of(value, model.model_fields[name].annotation, f"{path}{key}")
        return made

    def _of(self, value: Any, annotation: Any, path: str) -> Any:
        core = _core(annotation)
        if core is SecretKeyRef:
            return self._kept(self._text(value, path), self._where(path), path)
        if isinstance(core, type) and issubclass(core, Model) and isinstance(value, Mapping):
            return self._of_model(core, value, f"{path}.")
        if isinstance(value, Mapping) and _is(core, Mapping):
            return {key: self._of(one, get_args(core)[1], f"{path}.{key}") for key, one in value.items()}
        if isinstance(value, list) and get_origin(core) is tuple:
            return [self._of(one, get_args(core)[0], f"{path}[{number}]") for number, one in enumerate(value)]
        return value

    def _text(self, value: Any, path: str) -> str:
        if isinstance(value, Mapping):
            return json.dumps(value)  # credentials that a provider hands out as JSON
        if not isinstance(value, str):
            self._problems.append(f"{path}: must be a text; put it in quotes")
            return ""
        return value

    def _from_file(self, value: Any, path: str) -> Any:
        content, where = self._file(value, path)
        return self._kept(content, where, path)

    def _bundle(self, value: Any, path: str, *, is_file: bool) -> Any:
        text = self._file(value, path)[0] if is_file else value
        return b64encode(text.encode()).decode() if isinstance(text, str) and text.lstrip().startswith(_PEM) else text

    def _file(self, value: Any, path: str) -> tuple[str, str]:
        if not isinstance(value, str) or not value:
            self._problems.append(f"{path}: must be the path of a file")
            return "", ""
        return self._read(value, path)

    def _kept(self, secret: str, where: str, path: str) -> dict[str, str]:
        if not secret.strip() and not any(problem.startswith(f"{path}:") for problem in self._problems):
            self._problems.append(f"{path}: is empty")
        name = f"s{len(self._secrets)}"
        self._secrets[name] = (secret, where)
        return {"name": name, "key": name}


def _unknown(model: type[Model], path: str, key: object, value: object) -> str:
    names = _names(model)
    known = ", ".join(names)
    if key in {_alias(name, info) for name, info in model.model_fields.items() if _is_in_cluster(info)}:
        return f"{path}{key}: is for Issuers only"
    if not isinstance(key, str) or not _SHOWN.fullmatch(key) or value is None:
        return f"{path}a name in it is not a field: those are {known}"
    stem = key.removesuffix(_REF)
    if stem != key and f"{stem}{_FILE}" in names:
        secret = f"{stem} with the secret itself, or " if stem in names else ""
        return f"{path}{key}: is for Issuers; write {secret}{stem}{_FILE} with the path of a file that holds it"
    close = difflib.get_close_matches(key, names, n=1)
    return f"{path}{key}: is not a field" + (f"; did you mean {close[0]}?" if close else f" of it: those are {known}")


def _in_own_words(problem: str) -> str:
    path, _, text = problem.partition(": ")
    text = text.replace("Field required", "is missing")
    whole = text if path == "the object" else f"{path}: {text}"
    return _without_references(whole)


def _without_references(text: str) -> str:
    return _REFERENCE.sub(r"\1", text)


def _alias(name: str, info: FieldInfo) -> str:
    return info.alias or name


def _core(annotation: Any) -> Any:
    """Return a type without what is around it: None as an alternative, bounds, another name."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, UnionType):
            parts = [one for one in get_args(annotation) if one is not type(None)]
            if len(parts) != 1:
                return annotation
            (annotation,) = parts
        else:
            return annotation


def _inner(annotation: Any) -> Any:
    """Return the type of the values in a list or a map, or the type itself."""
    core = _core(annotation)
    if get_origin(core) is tuple:
        return _inner(get_args(core)[0])
    return _inner(get_args(core)[1]) if _is(core, Mapping) else core


def _is(core: Any, kind: type) -> bool:
    origin = get_origin(core)
    return isinstance(origin, type) and issubclass(origin, kind)


def _is_in_cluster(info: FieldInfo) -> bool:
    core = _core(info.annotation)
    return isinstance(core, type) and issubclass(core, InCluster)


def _help(model: type[Model], name: str) -> str:
    try:
        return " ".join(field_descriptions(model).get(name, "").split())
    except OSError:  # it was installed without its source
        return ""


def _values(annotation: Any) -> Iterator[str]:
    core = _core(annotation)
    if get_origin(core) is Literal:
        yield from map(str, get_args(core))


def _default(info: FieldInfo) -> str | None:
    if info.default is PydanticUndefined or info.default is None or info.default == ():
        return None
    return json.dumps(info.default, default=str)
