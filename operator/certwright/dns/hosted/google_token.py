"""Access tokens of Google Cloud: from a service account key, the metadata server, or another cloud's token."""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from certwright.dns.errors import InvalidCredential, ProviderRefused, ProviderUnreachable
from certwright.dns.hosted.answer import code_of, json_of
from certwright.dns.hosted.token import Token, token_from
from certwright.http.url import host_of
from certwright.key_file import UnreadableKey, read_private_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright.dns.credential import Credential
    from certwright.dns.provider import ProviderContext
    from certwright.http.message import Response

SCOPE: Final = "https://www.googleapis.com/auth/ndev.clouddns.readwrite"
"""Reads and writes Cloud DNS, and nothing else."""
MAX_FILE: Final = 32 * 1024
"""Characters of a file with credentials: 2.4 KiB are usual."""
MAX_RSA_BITS: Final = 4096
"""Google's own keys have 2048."""
TOKEN_SECONDS: Final = 3600
"""The longest that Google allows."""
METADATA: Final = "169.254.169.254"

_TOKEN_URI: Final = re.compile(
    r"https://(?:oauth2\.googleapis\.com|www\.googleapis\.com|accounts\.google\.com)/[A-Za-z0-9/_-]{1,64}"
)
_STS: Final = re.compile(r"https://sts(?:\.[a-z0-9-]{1,40})?\.googleapis\.com/v1/token")
_IMPERSONATION: Final = re.compile(
    r"https://iamcredentials(?:\.[a-z0-9-]{1,40})?\.googleapis\.com/v1/projects/-/serviceAccounts/"
    r"[A-Za-z0-9@._-]{1,256}:generateAccessToken"
)
_METADATA_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?")
_EMAIL: Final = re.compile(r"[!-?A-~]{1,200}@[a-z0-9.-]{1,253}")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

_REFUSED: Final = {
    "invalid_grant": "the key was deleted or disabled, the service account is gone, or this machine's clock is wrong",
    "unauthorized_client": "the service account is disabled, or may not have tokens",
    "invalid_target": "the workload identity provider, which audience names, does not exist or is disabled",
}


@dataclass(frozen=True)
class ServiceAccountKey:
    """A key of a service account.

    Attributes:
        email: The service account.
        key: The private key.
        key_id: Its ID, or None.
        token_uri: Where it is exchanged for an access token.
    """

    email: str
    key: rsa.RSAPrivateKey = field(repr=False)
    key_id: str | None
    token_uri: str

    async def fetch(self, context: ProviderContext) -> Token:
        """Get a token with an assertion that the key signs (RFC 7523). Raises `DnsError`."""
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": self.assertion(time.time())}
        return await _exchange(context, self.token_uri, form, whose=f"of the service account {self.email}")

    def assertion(self, now: float) -> str:
        """Return a JWT that is good for an hour.

        Args:
            now: Seconds since 1970.
        """
        header = {"alg": "RS256", "typ": "JWT", **({"kid": self.key_id} if self.key_id else {})}
        claims = {
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": int(now),
            "exp": int(now) + TOKEN_SECONDS,
        }
        signed = f"{_base64url(_json(header))}.{_base64url(_json(claims))}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64url(signature)}"


def read_service_account_key(credential: Credential) -> ServiceAccountKey:
    """Read the JSON file that Google gives with a service account key.

    Raises:
        InvalidCredential: It is another file, or damaged. Nothing of it is shown.
    """
    where = f"the service account key{f' in {credential.source}' if credential.source else ''}"
    return _service_account_key(_parsed(credential.value, where), where)


async def fetch_ambient(context: ProviderContext) -> Token:
    """Get a token for the place where this process runs, as Google's own libraries find it.

    That is the file that GOOGLE_APPLICATION_CREDENTIALS names, or else the metadata server of Compute Engine and GKE.

    Raises:
        DnsError: There is none.
    """
    path = context.surroundings.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if not path:
        return await _from_metadata(context)
    where = f"the file {path} (GOOGLE_APPLICATION_CREDENTIALS)"
    found = _parsed(await context.surroundings.read_file(path, "file of credentials"), where)
    if found.get("type") == "external_account":
        return await _from_another_cloud(context, found, where)
    return await _service_account_key(found, where).fetch(context)


async def _from_metadata(context: ProviderContext) -> Token:
    host = context.surroundings.environ.get("GCE_METADATA_HOST") or METADATA
    if not _METADATA_HOST.fullmatch(host):
        raise InvalidCredential("GCE_METADATA_HOST is not a host, or host:port")
    url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token?{urlencode({'scopes': SCOPE})}"
    response = await context.surroundings.request("GET", url, headers={"Metadata-Flavor": "Google"})
    if response.status == HTTPStatus.OK and response.headers.get("Metadata-Flavor") == "Google":
        answer = json_of(response)
        return token_from(answer.get("access_token"), answer.get("expires_in"), host=host)
    said = f"the metadata server at {host} gave no access token (HTTP {response.status})"
    if response.status == HTTPStatus.TOO_MANY_REQUESTS or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ProviderUnreachable(f"{said}: it is out of service", host=host)
    raise ProviderRefused(
        f"{said}: the node needs a service account; on GKE, Certwright's ServiceAccount needs Workload Identity, and "
        "if it is bound to a Google service account, the role Workload Identity User on that",
        host=host,
    )


async def _from_another_cloud(context: ProviderContext, found: Mapping[str, Any], where: str) -> Token:
    """Exchange a token file (workload identity federation), as the environment says."""
    source = found.get("credential_source")
    source = source if isinstance(source, dict) else {}
    path = source.get("file")
    sts, impersonation = found.get("token_url"), found.get("service_account_impersonation_url")
    if not isinstance(path, str) or not path:
        raise InvalidCredential(f"{where} names no file in credential_source: other sources are not supported")
    if not isinstance(sts, str) or not _STS.fullmatch(sts):
        raise InvalidCredential(f"{where} has a token_url that is not one of Google's")
    if impersonation is not None and not (isinstance(impersonation, str) and _IMPERSONATION.fullmatch(impersonation)):
        raise InvalidCredential(f"{where} has a service_account_impersonation_url that is not one of Google's")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": str(found.get("audience")),
        "scope": "https://www.googleapis.com/auth/iam" if impersonation else SCOPE,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": _subject_token(
            await context.surroundings.read_file(path, "identity token"), source.get("format"), path
        ),
        "subject_token_type": str(found.get("subject_token_type")),
    }
    token = await _exchange(context, sts, form, whose=f"of {where}")
    return token if impersonation is None else await _impersonate(context, impersonation, token)


def _subject_token(content: str, form: object, path: str) -> str:
    if not isinstance(form, dict) or form.get("type", "text") == "text":
        return content.strip()
    token = _parsed(content, f"the identity token in {path}").get(str(form.get("subject_token_field_name")))
    if not isinstance(token, str):
        raise InvalidCredential(f"the identity token in {path} is not in the field that subject_token_field_name names")
    return token


async def _impersonate(context: ProviderContext, url: str, token: Token) -> Token:
    headers = {"Authorization": f"Bearer {token.value}", "Content-Type": "application/json"}
    content = _json({"scope": [SCOPE], "lifetime": f"{TOKEN_SECONDS}s"})
    response = await context.request("POST", url, headers=headers, content=content)
    answer = json_of(response)
    if response.status == HTTPStatus.OK:
        # Its expireTime is an hour from now, as was asked for.
        return token_from(answer.get("accessToken"), TOKEN_SECONDS, host=host_of(url))
    error = answer.get("error")
    code = code_of(error.get("status")) if isinstance(error, dict) else ""
    raise _refused(response, code, "the identity needs the role Workload Identity User on the service account")


async def _exchange(context: ProviderContext, url: str, form: Mapping[str, str], *, whose: str) -> Token:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    response = await context.request("POST", url, headers=headers, content=urlencode(form, errors="replace").encode())
    answer = json_of(response)
    if response.status == HTTPStatus.OK:
        return token_from(answer.get("access_token"), answer.get("expires_in"), host=host_of(url))
    code = code_of(answer.get("error"))
    raise _refused(response, code, _REFUSED.get(code, f"it does not accept the credentials {whose}"))


def _refused(response: Response, code: str, why: str) -> ProviderRefused:
    host = host_of(response.url)
    said = f"HTTP {response.status}, {code}" if code else f"HTTP {response.status}"
    return ProviderRefused(f"{host} gave no access token ({said}): {why}", host=host, code=code)


def _service_account_key(found: Mapping[str, Any], where: str) -> ServiceAccountKey:
    if found.get("type") != "service_account":
        raise InvalidCredential(f"{where} is not the JSON of a service account key: its type is not service_account")
    email, key_id, pem = found.get("client_email"), found.get("private_key_id"), found.get("private_key")
    token_uri = found.get("token_uri", "https://oauth2.googleapis.com/token")
    if found.get("universe_domain", "googleapis.com") != "googleapis.com":
        raise InvalidCredential(f"{where} is for another cloud: its universe_domain is not googleapis.com")
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        raise InvalidCredential(f"{where} has no client_email that is an e-mail address")
    if not isinstance(token_uri, str) or not _TOKEN_URI.fullmatch(token_uri):
        raise InvalidCredential(f"{where} has a token_uri that is not one of Google's")
    if key_id is not None and not (isinstance(key_id, str) and _KEY_ID.fullmatch(key_id)):
        raise InvalidCredential(f"{where} has a private_key_id that is none")
    if not isinstance(pem, str):
        raise InvalidCredential(f"{where} has no private_key")
    return ServiceAccountKey(email, _rsa_key(pem, where), key_id, token_uri)


def _rsa_key(pem: str, where: str) -> rsa.RSAPrivateKey:
    try:
        key = read_private_key(pem.encode(errors="replace"))
    except UnreadableKey as error:
        raise InvalidCredential(f"the private_key of {where} {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size > MAX_RSA_BITS:
        raise InvalidCredential(f"the private_key of {where} is not an RSA key of at most {MAX_RSA_BITS} bits")
    return key


def _parsed(text: str, where: str) -> dict[str, Any]:
    if len(text) > MAX_FILE:
        raise InvalidCredential(f"{where} is longer than any such file: {len(text)} characters")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidCredential(f"{where} is not JSON: paste the whole file that Google Cloud gave")
    return found


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
