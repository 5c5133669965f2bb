"""Credentials from a kubeconfig, shared by our client and kopf's watches."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import ssl
import tempfile
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from certwright.http.proxy import environment_proxy
from certwright.kube.exec_plugin import ExecPlugin
from certwright.kube.kubeconfig import Context, NoCredentials, load, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from certwright.kube.exec_plugin import Brought
    from certwright.kube.kubeconfig import Section

TOKEN_FILE_SECONDS: Final = 60.0
"""How long the content of a token file is used: whoever rotates it leaves the old token valid for longer."""
BEFORE_EXPIRY: Final = dt.timedelta(seconds=30)
_PROXIES: Final = ("http://", "https://")
_UNSUPPORTED: Final = {
    "auth-provider": "use an exec plug-in in its place",
    "as": "impersonation is not supported",
    "as-uid": "impersonation is not supported",
    "as-groups": "impersonation is not supported",
}


class Credentials:
    """The current context of a kubeconfig, and its token, which is brought up to date.

    Attributes:
        server: URL of the API server.
        namespace: The context's namespace, or None.
        tls_server_name: The name that its certificate is verified for, or None for its host's.
        proxy: URL of the proxy to it, of the kubeconfig or else of the environment, or None.
        tls: For all connections; a new client certificate is loaded into it.
    """

    def __init__(self, context: Context, *, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        """Read what is needed, but run no plug-in yet.

        Raises:
            NoCredentials: A file cannot be read, or something is not supported.
        """
        cluster, self._user = context.cluster, context.user
        for field, remedy in _UNSUPPORTED.items():
            if self._user.content.get(field):
                raise NoCredentials(f"{self._user.name} has {field}: {remedy}")
        server = cluster.text("server")
        if server is None:
            raise NoCredentials(f"{cluster.name} has no server")
        self.server = (server if "://" in server else f"http://{server}").rstrip("/")
        self.namespace = context.namespace
        self.tls_server_name = cluster.text("tls-server-name")
        self.proxy = _proxy(cluster, self.server)
        self._now = now
        self._plugin = ExecPlugin.of(self._user, cluster)
        self._token_file = self._user.path("tokenFile")
        self._lock = asyncio.Lock()
        self._brought: Brought | None = None
        self._read_at: float | None = None
        self._token = self._user.text("token")
        self.tls = _tls(cluster.data("certificate-authority"), insecure=cluster.content.get("insecure-skip-tls-verify"))
        certificate, key = self._user.data("client-certificate"), self._user.data("client-key")
        if certificate is not None and key is not None:
            _load_certificate(self.tls, certificate, key, self._user.name)

    @classmethod
    def load(cls, kubeconfig: str | None, context: str | None = None) -> Credentials:
        """Read a kubeconfig.

        Args:
            kubeconfig: Its path, or None for the default ones.
            context: Name of the context, or None for the current one.

        Raises:
            NoCredentials: It cannot be used.
        """
        return cls(load(kubeconfig, context))

    async def authorization(self) -> str | None:
        """Return the Authorization header for a request now, or None if there is none.

        Raises:
            NoCredentials: A plug-in or a token file brings none.
        """
        if self._plugin is not None:
            brought = await self._from_plugin(self._plugin)
            return f"Bearer {brought.token}" if brought.token else None
        if self._token_file is not None:
            self._read_token_file(self._token_file)
        if self._token:
            return f"Bearer {self._token}"
        name, password = self._user.text("username"), self._user.text("password")
        if name is None or password is None:
            return None
        return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"

    def rejected(self) -> None:
        """Take note that the API server does not know us (401): what was brought is brought anew."""
        self._brought = self._read_at = None

    async def _from_plugin(self, plugin: ExecPlugin) -> Brought:
        async with self._lock:
            if self._brought is None or self._is_over(self._brought):
                brought = await plugin.run()
                if brought.certificate is not None and brought.key is not None:
                    _load_certificate(self.tls, brought.certificate, brought.key, "the exec plug-in")
                self._brought = brought
            return self._brought

    def _is_over(self, brought: Brought) -> bool:
        return brought.expires is not None and self._now() >= brought.expires - BEFORE_EXPIRY

    def _read_token_file(self, path: Path) -> None:
        if self._read_at is not None and time.monotonic() - self._read_at < TOKEN_FILE_SECONDS:
            return
        try:
            token = read(path).decode("ascii", "replace").strip()
        except NoCredentials:
            # It is being replaced: the last one does for now.
            if not self._token:
                raise
            return
        if not token and not self._token:
            raise NoCredentials(f"{path} is empty")
        self._token, self._read_at = token or self._token, time.monotonic()


def _proxy(cluster: Section, server: str) -> str | None:
    proxy = cluster.text("proxy-url")
    if proxy is None:
        parts = urlsplit(server)
        found = environment_proxy(parts.scheme, parts.netloc)
        return found if found is not None and found.startswith(_PROXIES) else None
    if not proxy.startswith(_PROXIES):
        raise NoCredentials(f"proxy-url of {cluster.name} is not http or https")
    return proxy


def _tls(authority: bytes | None, *, insecure: object) -> ssl.SSLContext:
    if insecure and authority is not None:
        raise NoCredentials("certificate-authority and insecure-skip-tls-verify exclude each other")
    try:
        context = ssl.create_default_context(cadata=None if authority is None else authority.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise NoCredentials("certificate-authority has no certificate in PEM") from None
    # Python 3.13 is stricter than Go: many clusters' CAs lack extensions that it asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes, whose: str) -> None:
    # OpenSSL reads them from a file only; it is readable by this user alone, and gone at once.
    with tempfile.NamedTemporaryFile(prefix="certwright-", suffix=".pem") as file:
        file.write(certificate.rstrip() + b"\n" + key)
        file.flush()
        try:
            context.load_cert_chain(file.name)
        except (ssl.SSLError, OSError):
            raise NoCredentials(f"the client certificate of {whose} and its key cannot be used") from None
