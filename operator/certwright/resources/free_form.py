"""Objects that are handed to Kubernetes as they are: the API server checks them where they are used."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class _FreeForm:
    """An object of any content, so that fields of newer Kubernetes versions need no new CRD."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic take any object."""
        return handler(source)

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Lets the generated schema keep what is in it."""
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


FreeForm = Annotated[Mapping[str, Any], _FreeForm()]
