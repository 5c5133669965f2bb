"""Objects that are passed on to Kubernetes unchanged; the API server validates them where they are used."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

MAX_NESTING: Final = 64
"""Levels of an object: nothing that Kubernetes has takes a third of it, and Python cannot write a thousand as JSON."""


class _FreeForm:
    """An object of any content, so that fields of newer Kubernetes versions need no new CRD."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic take any object that is not nested too deeply."""
        return core_schema.no_info_after_validator_function(_bounded, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Lets the generated schema keep what is in it."""
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _bounded(content: Mapping[str, Any]) -> Mapping[str, Any]:
    level: list[Any] = [content]
    for _ in range(MAX_NESTING):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, Mapping) else one)
            if isinstance(inner, Mapping | list | tuple)
        ]
        if not level:
            return content
    raise ValueError(f"it must not be nested more than {MAX_NESTING} levels deep")


FreeForm = Annotated[Mapping[str, Any], _FreeForm()]
