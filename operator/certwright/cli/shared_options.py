"""Options that several commands have, declared once: a dataclass whose fields are options of each."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from typer.models import OptionInfo


def with_options(command: Callable[..., None], *kinds: type) -> Callable[..., None]:
    """Add the fields of dataclasses to a command's options; it gets their values as its first arguments.

    Args:
        command: What runs. Its other parameters are options of its own, shown first.
        kinds: The dataclasses, in the order of its first parameters.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())[len(kinds) :]
    shared = [one for kind in kinds for one in inspect.signature(kind, eval_str=True).parameters.values()]

    @functools.wraps(command)
    def whole(**values: Any) -> None:
        given = [kind(**{field.name: values.pop(field.name) for field in fields(kind)}) for kind in kinds]
        command(*given, **values)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *shared)]
    for parameter in parameters:
        _tidy_help(parameter.annotation)
    whole.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect and typer read it
    whole.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return whole


def _tidy_help(annotation: Any) -> None:
    """Show flags without a value, and options with a text without their Python type."""
    kind, option = annotation.__origin__, annotation.__metadata__[0]
    if option.metavar is not None:
        return
    if kind in (bool, bool | None):
        option.metavar = ""
    elif kind in (str, str | None, list[str] | None) and isinstance(option, OptionInfo):
        option.metavar = "TEXT"
