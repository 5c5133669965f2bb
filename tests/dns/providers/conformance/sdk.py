"""SDKs that send with requests, in front of a double."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import requests

    from tests.dns.providers.conformance.double import Double


def sdk(name: str) -> Any:
    """Import a module of an SDK: when a test needs it, not when tests are collected. Most have no types."""
    return import_module(name)


def session_to(double: Double) -> requests.Session:
    """Return a session whose requests are answered by the double, which refuses what the API would."""
    import requests  # noqa: PLC0415 - not at collection

    session = requests.Session()
    mount(session, double)
    return session


def mount(session: requests.Session, double: Double) -> None:
    """Have a session's requests answered by the double."""
    import requests  # noqa: PLC0415 - not at collection
    import requests.adapters  # noqa: PLC0415

    class Adapter(requests.adapters.BaseAdapter):
        def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
            url, body = str(request.url), request.body
            content = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else None
            parts, headers = urlsplit(url), {name: str(value) for name, value in request.headers.items()}
            if double.check_credential(str(request.method), url, headers, content or None):
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                found = double.answer(str(request.method), parts.path, query, content or None)
            else:
                found = double.denial()
            response = requests.Response()
            response.status_code, response.url, response.request = found.status, url, request
            response._content = found.body
            response.headers.update(dict(found.headers))
            return response

        def close(self) -> None: ...

    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter())
