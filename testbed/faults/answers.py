"""Small changes to answers, from which faults are made."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from testbed.exchanges import Response

if TYPE_CHECKING:
    from collections.abc import Mapping


def made_up(status: int, media_type: str, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that Pebble never gave."""
    return Response(status, CIMultiDict({"Content-Type": media_type, **(headers or {})}), body)


def with_body(answer: Response, body: bytes) -> Response:
    """Return the answer with another body."""
    return replace(answer, body=body)


def with_header(answer: Response, name: str, *values: str) -> Response:
    """Return the answer with these values in place of a header field's; with none, without the field."""
    headers = CIMultiDict(answer.headers)
    headers.popall(name, None)
    headers.extend((name, value) for value in values)
    return replace(answer, headers=headers)


def with_members(answer: Response, **members: Any) -> Response:
    """Return the answer with these members in its JSON object; None takes one out."""
    document = {**json.loads(answer.body), **members}
    return with_body(answer, _json({name: value for name, value in document.items() if value is not None}))


def with_challenges(answer: Response, **members: Any) -> Response:
    """Return an authorization with these members in each of its challenges; None takes one out."""
    changed = [
        {name: value for name, value in {**challenge, **members}.items() if value is not None}
        for challenge in json.loads(answer.body)["challenges"]
    ]
    return with_members(answer, challenges=changed)


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
