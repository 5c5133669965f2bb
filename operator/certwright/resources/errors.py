"""What can be wrong with an object or a value of ours."""

from collections.abc import Sequence

from pydantic import ValidationError

_MOST_PROBLEMS = 10


class ResourceError(Exception):
    """Base of every error of this package."""


class InvalidDuration(ResourceError, ValueError):
    """A text is no duration such as `2160h`, `15m` or `1h30m`."""


class InvalidResource(ResourceError):
    """An object does not follow the schema, although an API server has stored it.

    It happens when the CRD in the cluster is older or newer than the program that reads the object.

    Attributes:
        name: the object, as in `Certificate default/web`.
        problems: one sentence for each problem, led by the path of the field.
    """

    def __init__(self, name: str, problems: Sequence[str]) -> None:
        self.name = name
        self.problems = tuple(problems)
        super().__init__(f"{name} is invalid: {'; '.join(self.problems)}")


def describe(error: ValidationError) -> tuple[str, ...]:
    """Sentences for people, `path: what is wrong`, without the values: those could be anything."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    places = {problem["loc"][:depth] for problem in found for depth in range(len(problem["loc"]))}
    # A list whose items are all wrong is reported as too short as well: the items say enough.
    telling = [problem for problem in found if problem["loc"] not in places]
    problems = [f"{_path(problem['loc'])}: {_plain(problem['msg'])}" for problem in telling[:_MOST_PROBLEMS]]
    if len(telling) > _MOST_PROBLEMS:
        problems.append(f"and {len(telling) - _MOST_PROBLEMS} more")
    return tuple(problems)


def _path(location: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".") or "the object"


def _plain(message: str) -> str:
    """The message without words that only Python people know."""
    return message.removeprefix("Value error, ").removeprefix("Tuple ").replace(" after validation", "")
