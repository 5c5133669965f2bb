"""SDKs that send with requests, in front of a double."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    import requests

    from tests.dns.providers.conformance.double import Double


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
            url, content = str(request.url), request.body
            if isinstance(content, str):
                content = content.encode()
            parts = urlsplit(url)
            if double.check_credential(str(request.method), url, request.headers, content or None):
                query = dict(parse_qsl(parts.query, keep_blank_values=True))
                found = double.answer(str(request.method), parts.path, query, content or None)
            else:
                found = double.denial()
            response = requests.Response()
            response.status_code, response.url, response.request = found.status, url, request
            response._content = found.body  # noqa: SLF001 - there is no other way to make one
            response.headers.update(dict(found.headers))
            return response

        def close(self) -> None: ...

    for scheme in ("https://", "http://"):
        session.mount(scheme, Adapter())
