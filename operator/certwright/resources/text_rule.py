"""A rule for a string, written once, checked by the API server (CEL) and by Python with the same message."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Hint:
    """What to tell people whose text breaks the rule in a way that is often seen.

    Attributes:
        pattern: found in the text when the hint fits.
        message: follows the path and the value in the API server's error.
    """

    pattern: str
    message: str


@dataclass(frozen=True)
class TextRule:
    """The form of a text; use it as `Annotated[str, RULE]`.

    The patterns are for RE2 and for Python's `re`, so they use only what both know. A `pattern` in the schema
    would do the same, but its error shows people a regular expression in place of the mistake.

    Attributes:
        pattern: the whole text must match it.
        message: what is wrong with a text for which no hint fits.
        max_length: in characters.
        unless: a text that this matches as a whole breaks the rule all the same.
        hints: tried in order for a text that does not match.
        also: a text that this matches as a whole is good, whatever the others say of it.
        normal: turns a good text into the form that everything else works with. Raises ValueError for what only looks
            good: that the API server cannot tell.
        strict: what the form has to be.
    """

    pattern: str
    message: str
    max_length: int
    unless: str | None = None
    hints: Sequence[Hint] = field(default=())
    also: str | None = None
    normal: Callable[[str], str] | None = None
    strict: "TextRule | None" = None

    def check(self, text: str) -> str:
        """The text as it is, or in its normal form.

        Raises:
            ValueError: the text breaks the rule; the message says how.
        """
        if len(text) > self.max_length:
            raise ValueError(f"is longer than {self.max_length} characters")
        good = re.fullmatch(self.pattern, text) and not (self.unless and re.fullmatch(self.unless, text))
        if good or (self.also and re.fullmatch(self.also, text)):
            normal = self.normal(text) if self.normal is not None else text
            return self.strict.check(normal) if self.strict is not None else normal
        raise ValueError(next((hint.message for hint in self.hints if re.search(hint.pattern, text)), self.message))

    @property
    def cel(self) -> str:
        """The rule as a CEL expression over `self`."""
        return self.cel_for("self")

    def cel_for(self, operand: str) -> str:
        """The rule as a CEL expression over another operand, such as `self.duration`."""
        rule = f"{operand}.matches(r'^(?:{self.pattern})$')"
        if self.unless is not None:
            rule = f"({rule} && !{operand}.matches(r'^(?:{self.unless})$'))"
        return rule if self.also is None else f"({rule} || {operand}.matches(r'^(?:{self.also})$'))"

    @property
    def validation(self) -> dict[str, str]:
        """The entry for `x-kubernetes-validations`."""
        if not self.hints:
            return {"rule": self.cel, "message": self.message}
        choices = [f"self.matches(r'{hint.pattern}') ? {json.dumps(hint.message)} :" for hint in self.hints]
        expression = "\n".join((*choices, json.dumps(self.message)))
        return {"rule": self.cel, "message": self.message, "messageExpression": expression}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic check values with this rule."""
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Lets the generated schema carry this rule."""
        schema = handler(core)
        schema["maxLength"] = self.max_length
        schema["x-kubernetes-validations"] = [self.validation]
        return schema
