"""The descriptions of model fields, from the text under each field, for `kubectl explain` and the command line.

Reading them requires parsing the source of a model, so only programs that show them do it; the operator does not.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

from pydantic import BaseModel


@cache
def field_descriptions(model: type[BaseModel]) -> Mapping[str, str]:
    """The descriptions of a model's fields, by their Python names; of an inherited field where it is declared.

    Raises:
        OSError: the source of the model is not there.
    """
    found: dict[str, str] = {}
    for part in reversed([one for one in model.__mro__ if issubclass(one, BaseModel) and one is not BaseModel]):
        own = _texts(part)
        for name in inspect.get_annotations(part):
            found.pop(name, None)
            if name in own:
                found[name] = own[name]
    given = {name: info.description for name, info in model.model_fields.items() if info.description is not None}
    return {name: text for name, text in {**found, **given}.items() if name in model.model_fields}


def _texts(model: type[BaseModel]) -> dict[str, str]:
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    found = {}
    for declared, text in pairwise(definition.body if isinstance(definition, ast.ClassDef) else ()):
        if not (isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
            found[declared.target.id] = inspect.cleandoc(text.value.value)
    return found
