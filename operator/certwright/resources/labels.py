"""Maps of labels and annotations in a spec."""

import re
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from certwright.resources.group import RESERVED_PREFIX
from certwright.resources.rules import rule

_KEY: Final = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_VALUE: Final = "(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?"
_KEY_MESSAGE: Final = (
    "has an invalid key: 1 to 63 of A-Z, a-z, 0-9, -, . and _, optionally after a domain and a /, "
    "as in example.com/team"
)
_VALUE_MESSAGE: Final = "has a value that is invalid for a label: 0 to 63 of A-Z, a-z, 0-9, -, . and _"
_RESERVED_MESSAGE: Final = f"must not have keys under {RESERVED_PREFIX}: the operator writes them"


class _KeyedTexts:
    """The rules for a map; use it as `Annotated[Mapping[str, str], LABELS]`."""

    def __init__(self, *, longest_value: int, label_values: bool, reserved: bool) -> None:
        self._longest_value = longest_value
        self._label_values = label_values
        self._reserved = reserved

    def _check(self, texts: dict[str, str]) -> dict[str, str]:
        if not all(re.fullmatch(_KEY, key) for key in texts):
            raise ValueError(_KEY_MESSAGE)
        if self._label_values and not all(re.fullmatch(_VALUE, value) for value in texts.values()):
            raise ValueError(_VALUE_MESSAGE)
        if self._reserved and any(key.startswith(RESERVED_PREFIX) for key in texts):
            raise ValueError(_RESERVED_MESSAGE)
        return texts

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Lets pydantic check the map."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Lets the generated schema carry the rules."""
        rules = [rule(f"self.all(key, key.matches(r'^{_KEY}$'))", _KEY_MESSAGE)]
        if self._label_values:
            rules.append(rule(f"self.all(key, self[key].matches(r'^{_VALUE}$'))", _VALUE_MESSAGE))
        if self._reserved:
            rules.append(
                rule(
                    f"self.all(key, !key.startsWith('{RESERVED_PREFIX}'))",
                    _RESERVED_MESSAGE,
                    reason="FieldValueForbidden",
                )
            )
        return {
            **handler(core),
            "maxProperties": 64,
            "additionalProperties": {"type": "string", "maxLength": self._longest_value},
            "x-kubernetes-validations": rules,
        }


def metadata_problem(key: str, value: str, *, is_label: bool) -> str | None:
    """Return what is wrong with a label or an annotation, as a predicate, or None."""
    if not re.fullmatch(_KEY, key):
        return _KEY_MESSAGE
    if is_label and not re.fullmatch(_VALUE, value):
        return _VALUE_MESSAGE
    return _RESERVED_MESSAGE if key.startswith(RESERVED_PREFIX) else None


LABELS: Final = _KeyedTexts(longest_value=63, label_values=True, reserved=False)
"""Labels to look for."""
LABELS_TO_WRITE: Final = _KeyedTexts(longest_value=63, label_values=True, reserved=True)
"""Labels for an object of ours."""
ANNOTATIONS_TO_WRITE: Final = _KeyedTexts(longest_value=16_384, label_values=False, reserved=True)
"""Annotations for an object of ours."""
