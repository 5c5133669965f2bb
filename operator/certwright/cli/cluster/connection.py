"""The connection of a command to the API server: the user and the namespace."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from certwright.cli.cluster.exits import ExitCode
from certwright.cli.exits import CommandError
from certwright.kube.client import KubeClient, Patience
from certwright.kube.errors import Forbidden, KubeError, NotFound
from certwright.kube.kubeconfig import NoCredentials
from certwright.kube.listing import MOST, Listed, list_all
from certwright.kube.login import connect, credentials_of, own_namespace
from certwright.kube.paths import UnsafeName, object_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

PATIENCE: Final = Patience(request=20.0, total=20.0, tries=3)
"""A person waits: what is out of reach is said soon."""
OURS: Final = "/apis/certwright.io/v1"
CORE: Final = "/api/v1"
DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True)
class Target:
    """Which API server, as the command line says.

    Attributes:
        kubeconfig: Path of a kubeconfig, or None for the default ones.
        context: Name of a context, or None for the current one.
        namespace: The namespace, or None for the context's.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None


class Session:
    """Reads and changes objects; errors are for people, see `CommandError`.

    Args:
        client: Sends the requests.
        namespace: For commands that name none.
        server: URL of the API server.
    """

    def __init__(self, client: KubeClient, namespace: str, server: str = "") -> None:
        self.client = client
        self.namespace = namespace
        self.server = server

    async def read(self, plural: str, namespace: str | None, name: str, *, root: str = OURS) -> dict[str, Any] | None:
        """Return an object, or None if there is none.

        Raises:
            NotFound: The API server does not know the kind: Certwright's CRDs are not installed.
        """
        try:
            return await self.client.request(
                "GET", _path(root, plural, namespace, name), action=f"read {_label(plural, namespace, name)}"
            )
        except NotFound as error:
            # Of an object that is missing the API server says so; for a path that it does not serve it has no reason.
            if root == OURS and not error.reason:
                raise
            return None

    async def list_all(
        self,
        plural: str,
        namespace: str | None,
        *,
        root: str = OURS,
        labels: str | None = None,
        fields: str | None = None,
        most: int = MOST,
    ) -> Listed:
        """Return the objects of a kind, page by page, in a namespace or, with None, in all of them.

        Raises:
            NotFound: The API server does not know the kind.
        """
        return await list_all(self.client, root, plural, namespace, labels=labels, fields=fields, most=most)

    async def change(self, plural: str, namespace: str, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into an object, and return it."""
        return await self.client.request(
            "PATCH",
            _path(OURS, plural, namespace, name),
            action=f"change {_label(plural, namespace, name)}",
            query={"fieldManager": "kubectl-certwright", "fieldValidation": "Strict"},
            body=change,
            content_type="application/merge-patch+json",
        )

    async def take_out(
        self, plural: str, namespace: str, name: str, field: str, if_equal: Mapping[str, str]
    ) -> dict[str, Any]:
        """Remove a field from an object, and return the object.

        Args:
            plural: Of its kind.
            namespace: Its own.
            name: Its own.
            field: JSON pointer of the field.
            if_equal: What has to be in the object: JSON pointers and their values.

        Raises:
            Invalid: Something else is there, or the field is not.
        """
        tests = [{"op": "test", "path": path, "value": value} for path, value in if_equal.items()]
        return await self.client.request(
            "PATCH",
            _path(OURS, plural, namespace, name),
            action=f"remove {field} of {_label(plural, namespace, name)}",
            query={"fieldManager": "kubectl-certwright"},
            body=[*tests, {"op": "remove", "path": field}],
            content_type="application/json-patch+json",
        )

    async def review(self, group: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return the API server's answer to a review, such as a SelfSubjectAccessReview."""
        plural = f"{kind.lower()}s"
        return await self.client.request(
            "POST",
            f"/apis/{group}/{plural}",
            action=f"create a {kind}",
            body={"apiVersion": group, "kind": kind, **({"spec": spec} if spec else {})},
        )


@asynccontextmanager
async def session(target: Target) -> AsyncIterator[Session]:
    """Connect, and translate what goes wrong into errors for people."""
    try:
        api = await connect(target.kubeconfig, target.context)
    except NoCredentials as error:
        raise CommandError(str(error), ExitCode.UNREACHABLE) from None
    try:
        known = credentials_of(api)
        namespace = target.namespace or (known.namespace if known else own_namespace()) or DEFAULT_NAMESPACE
        with telling():
            yield Session(KubeClient(api, patience=PATIENCE), namespace, api.configuration.host)
    finally:
        await api.close()  # type: ignore[no-untyped-call]  # the library has no types here


@contextmanager
def telling() -> Iterator[None]:
    """Translate errors of the API server, and of names, into errors for people."""
    try:
        yield
    except KubeError as error:
        raise told(error) from error
    except UnsafeName as error:
        raise CommandError(str(error), ExitCode.USAGE) from None


def told(error: KubeError) -> CommandError:
    """Return an error of the API server for people, with its exit code."""
    if error.status is None:
        hint = " Check your connection, or choose another API server with --context or --kubeconfig."
        return CommandError(f"The API server cannot be reached: {error}.{hint}", ExitCode.UNREACHABLE)
    if error.status == HTTPStatus.UNAUTHORIZED:
        return CommandError(
            "The API server does not know you (401 Unauthorized): your credentials are wrong or have expired. Log in "
            "again, or choose others with --context or --kubeconfig.",
            ExitCode.UNREACHABLE,
        )
    if isinstance(error, NotFound) and "certwright" not in error.message and not error.reason:
        return CommandError(
            "The API server does not know Certwright's kinds: install its CRDs, or run kubectl certwright check.",
            ExitCode.NOT_FOUND,
        )
    if isinstance(error, NotFound):
        return CommandError(str(error), ExitCode.NOT_FOUND)
    hint = " Run kubectl certwright check to see which rights you have." if isinstance(error, Forbidden) else ""
    return CommandError(f"{error}.{hint}", ExitCode.REFUSED)


def _path(root: str, plural: str, namespace: str | None, name: str | None = None) -> str:
    return object_path(root, plural, namespace, name)


def _label(plural: str, namespace: str | None, name: str) -> str:
    return f"{plural} {namespace}/{name}" if namespace else f"{plural} {name}"
