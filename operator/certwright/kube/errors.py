"""Errors of requests to the API server."""

from __future__ import annotations

from typing import Final

_GOING: Final = "because it is being terminated"
"""How the API server refuses whatever is new in a namespace that is deleted."""
_NO_NAMESPACE: Final = 'namespaces "'
"""How it begins to say that a namespace is gone; of another object it names the kind."""


class KubeError(Exception):
    """The API server refused a request, or could not be reached.

    Attributes:
        action: What was attempted, for example ``apply Secret shop/web-tls``.
        status: The HTTP status, or None if no answer came.
        reason: The ``reason`` of the API server's Status object (``AlreadyExists``, ``Forbidden``...), or "".
        message: The API server's own words, capped in length.
    """

    def __init__(self, action: str, *, status: int | None = None, reason: str = "", message: str = "") -> None:
        self.action = action
        self.status = status
        self.reason = reason
        self.message = message
        said = f"HTTP {status} {reason}".rstrip() if status is not None else "no answer"
        super().__init__(f"could not {action}: {said}" + (f": {message}" if message else ""))

    @property
    def is_for_going_namespace(self) -> bool:
        """Whether its namespace is being deleted, or is gone: nothing new is accepted there."""
        return False


class Unreachable(KubeError):
    """No answer came: connection refused or reset, time-out, TLS failure. Worth a retry."""


class Unavailable(KubeError):
    """The API server is overloaded or starting (429, 5xx). Worth a retry.

    Attributes:
        retry_after: Seconds the API server asked to wait, or None.
    """

    def __init__(
        self,
        action: str,
        *,
        status: int | None = None,
        reason: str = "",
        message: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(action, status=status, reason=reason, message=message)
        self.retry_after = retry_after


class NotFound(KubeError):
    """The object, its namespace or its resource type does not exist (404)."""

    @property
    def is_for_going_namespace(self) -> bool:
        """Whether its namespace is gone."""
        return self.message.startswith(_NO_NAMESPACE)


class Conflict(KubeError):
    """The object changed in between, is another object of the same name, or exists already (409)."""


class Forbidden(KubeError):
    """RBAC or admission does not allow it (401, 403)."""

    @property
    def is_for_going_namespace(self) -> bool:
        """Whether its namespace is being deleted."""
        return _GOING in self.message


class Invalid(KubeError):
    """The object breaks its schema or an immutable field (400, 422)."""


class AnswerTooLarge(KubeError):
    """The answer was larger than the operator is willing to hold."""
