"""Ambient AWS credentials, searched in the order of AWS's SDKs.

Environment variables, IRSA (a web identity token in a file), EKS Pod Identity and ECS (a container's credential
service), EC2's instance metadata service in its version 2.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from certwright.dns.aws.sigv4 import Keys
from certwright.dns.aws.sts import SESSION_NAME, WebIdentity, keys_from
from certwright.dns.credential import Credential
from certwright.dns.errors import InvalidCredential, ProviderUnreachable
from certwright.dns.hosted.answer import json_of, not_understood

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

TASK_HOST: Final = "169.254.170.2"
"""The credential service of ECS."""
CONTAINER_HOSTS: Final = frozenset({TASK_HOST, "169.254.170.23", "fd00:ec2::23", "127.0.0.1", "::1", "localhost"})
"""The only hosts to which a container's authorization token is sent: ECS, EKS Pod Identity, this host."""
METADATA: Final = "http://169.254.169.254"
METADATA_IPV6: Final = "http://[fd00:ec2::254]"
_LIFETIME: Final = "21600"
_SESSION_NAME: Final = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


class AmbientKeys:
    """The keys of the place where this process runs.

    Args:
        context: Knows the place.
        region: Whose STS is asked.
    """

    def __init__(self, context: ProviderContext, region: str) -> None:
        self._context = context
        self._region = region

    @property
    def _environ(self) -> Mapping[str, str]:
        return self._context.surroundings.environ

    @property
    def what(self) -> str:
        """What they are."""
        environ = self._environ
        if environ.get("AWS_ACCESS_KEY_ID"):
            return "the access key in Certwright's environment"
        if _has_web_identity(environ):
            return f"the role {environ['AWS_ROLE_ARN']}"
        return "the role of Certwright's pod" if _container_url(environ) else "the instance profile of the node"

    async def fetch(self) -> Keys:
        """Get them from the first source that there is. Raises `DnsError`."""
        environ = self._environ
        if environ.get("AWS_ACCESS_KEY_ID") and environ.get("AWS_SECRET_ACCESS_KEY"):
            return _from_environment(environ)
        if _has_web_identity(environ):
            return await self._from_web_identity(environ)
        if url := _container_url(environ):
            return await self._from_container(environ, url)
        if environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise InvalidCredential(
                "there are no AWS credentials where Certwright runs, and AWS_EC2_METADATA_DISABLED is true"
            )
        return await self._from_instance(environ)

    async def _from_web_identity(self, environ: Mapping[str, str]) -> Keys:
        name = environ.get("AWS_ROLE_SESSION_NAME", "")

        async def token() -> str:
            return await self._context.surroundings.read_file(
                environ["AWS_WEB_IDENTITY_TOKEN_FILE"], "web identity token"
            )

        return await WebIdentity(
            self._context,
            environ["AWS_ROLE_ARN"],
            self._region,
            token,
            "Certwright's ServiceAccount",
            name if _SESSION_NAME.fullmatch(name) else SESSION_NAME,
        ).fetch()

    async def _from_container(self, environ: Mapping[str, str], url: str) -> Keys:
        if urlsplit(url).hostname not in CONTAINER_HOSTS:
            raise InvalidCredential(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI does not lead to EKS Pod Identity, ECS or this host: the token is "
                "not sent there"
            )
        token = environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        if path := environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            token = await self._context.surroundings.read_file(path, "container authorization token")
        headers = {"Accept": "application/json"}
        if token:
            source = "Certwright's environment"
            headers["Authorization"] = Credential(token, source).printable("container authorization token")
        response = await self._context.surroundings.request("GET", url, headers=headers)
        if response.status != HTTPStatus.OK:
            raise _no_keys(response, "the pod's credential service", "check the Pod Identity association of its role")
        return _read(response, "AccessKeyId", "SecretAccessKey", "Token")

    async def _from_instance(self, environ: Mapping[str, str]) -> Keys:
        ipv6 = environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "").lower() == "ipv6"
        base = METADATA_IPV6 if ipv6 else METADATA
        surroundings = self._context.surroundings
        try:
            # Version 2: who can be made to fetch an URL cannot send a PUT.
            answer = await surroundings.request(
                "PUT",
                f"{base}/latest/api/token",
                headers={"X-aws-ec2-metadata-token-ttl-seconds": _LIFETIME},
            )
        except ProviderUnreachable as error:
            raise ProviderUnreachable(
                "there are no AWS credentials where Certwright runs: its environment has none, and EC2's metadata "
                "service does not answer. On EC2 a pod reaches it only if the instance's metadata hop limit "
                f"(HttpPutResponseHopLimit) is at least 2 ({error})",
                host=error.host,
            ) from error
        token = _text(answer, "check that the instance metadata service is enabled")
        headers = {"X-aws-ec2-metadata-token": token}
        roles = f"{base}/latest/meta-data/iam/security-credentials/"
        named = await surroundings.request("GET", roles, headers=headers)
        role = _text(named, "give the node an instance profile with a role")
        found = await surroundings.request("GET", roles + quote(role, safe=""), headers=headers)
        if found.status != HTTPStatus.OK:
            raise _no_keys(found, "EC2's metadata service", "check the role of the node's instance profile")
        return _read(found, "AccessKeyId", "SecretAccessKey", "Token")


def _from_environment(environ: Mapping[str, str]) -> Keys:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    source = "Certwright's environment"
    key_id, secret = (Credential(environ[name], source).printable(name) for name in names)
    token = environ.get("AWS_SESSION_TOKEN")
    return Keys(key_id, secret, Credential(token, source).printable("AWS_SESSION_TOKEN") if token else None)


def _has_web_identity(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and environ.get("AWS_ROLE_ARN"))


def _container_url(environ: Mapping[str, str]) -> str:
    relative = environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "")
    if relative.startswith("/"):
        return f"http://{TASK_HOST}{relative}"
    return environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")


def _text(response: Response, advice: str) -> str:
    if response.status != HTTPStatus.OK:
        raise _no_keys(response, "EC2's metadata service", advice)
    lines = response.body.decode("ascii", "replace").split()
    return Credential(lines[0] if lines else "", "the answer of EC2's metadata service").printable("answer")


def _no_keys(response: Response, who: str, advice: str) -> InvalidCredential:
    return InvalidCredential(f"{who} gives no AWS credentials (HTTP {response.status}): {advice}")


def _read(response: Response, *names: str) -> Keys:
    said = json_of(response)
    keys = keys_from(*(said.get(name) for name in (*names, "Expiration")), source="the answer")
    if keys is None:
        raise not_understood(response)
    return keys
