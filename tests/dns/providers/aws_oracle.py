"""What botocore knows of AWS: how requests are signed and written. It is imported when a test first asks."""
# mypy: disable-error-code="import-untyped"
# ruff: noqa: PLC0415, PLR0917

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KEY_ID = "AKIDEXAMPLE"


def signature_of(
    method: str, url: str, headers: Mapping[str, str], content: bytes | None, secret: str, token: str | None = None
) -> str:
    """Return the Authorization that botocore would send for a request whose other header fields are given."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    given = {name.lower(): value for name, value in headers.items()}
    region, service = given["authorization"].split("/")[2:4]
    key_id = given["authorization"].split("Credential=")[1].split("/")[0]
    auth = SigV4Auth(Credentials(key_id, secret, token), service, region)
    request = AWSRequest(method, url, {k: v for k, v in given.items() if k != "authorization"}, content or b"")
    request.context["timestamp"] = given["x-amz-date"]
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    names = auth.signed_headers(auth.headers_to_sign(request))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={names}, Signature={signature}"


@functools.cache
def _model(service: str) -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def check_request(
    service: str, operation: str, params: dict[str, Any], method: str, path: str, query: Mapping[str, str], body: bytes
) -> None:
    """Check that a request is the one that botocore writes for an operation with these parameters."""
    from botocore.serialize import create_serializer
    from botocore.validate import ParamValidator

    model = _model(service)
    of = model.operation_model(operation)
    report = ParamValidator().validate(params, of.input_shape)
    assert not report.has_errors(), report.generate_report()
    made = create_serializer(model.metadata["protocol"]).serialize_to_request(params, of)
    assert (made["method"], made["url_path"]) == (method, path)
    if isinstance(made["body"], dict):
        assert dict(parse_qsl(body.decode(), strict_parsing=True)) == made["body"]
    else:
        assert {name: str(value) for name, value in made["query_string"].items()} == dict(query)
        assert (canonical(made["body"]) if made["body"] else "") == (canonical(body) if body else "")


def canonical(body: bytes) -> str:
    return ET.canonicalize(body.decode(), strip_text=True)


def client(service: str, handle: Callable[[str, str, Mapping[str, str], bytes], Any], secret: str) -> Any:
    """Return botocore's client, whose requests go to `handle(method, url, headers, body)`."""
    from botocore.awsrequest import AWSResponse
    from botocore.config import Config
    from botocore.session import Session

    def send(request: Any, **_: Any) -> AWSResponse:
        headers = {
            name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
        }
        content = request.body.encode() if isinstance(request.body, str) else request.body or b""
        found = handle(request.method, request.url, headers, content)
        raw = SimpleNamespace(stream=lambda *_, **__: iter([found.body]))
        return AWSResponse(request.url, found.status, dict(found.headers), raw)

    made = Session().create_client(
        service,
        region_name="us-east-1",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=True),
    )
    made.meta.events.register_first(f"before-send.{service}", send)
    return made


def endpoint_resolver() -> Any:
    """Return what knows the hosts of all services in all regions."""
    from botocore.loaders import Loader
    from botocore.regions import EndpointResolver

    return EndpointResolver(Loader().load_data("endpoints"))
