"""The credentials of Route 53: STS and the metadata services as doubles, checked against botocore's description."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from certwright.dns import InvalidCredential, ProviderRefused, ProviderUnreachable
from certwright.dns.credential import Credential, IdentityToken
from certwright.dns.providers.route53 import Route53Config
from certwright.dns.surroundings import Surroundings
from certwright.http.errors import ConnectionFailed
from certwright.http.message import Headers, Response
from tests.dns.providers.aws_oracle import KEY_ID, check_request, client, signature_of
from tests.dns.providers.conformance.double import SECRET
from tests.dns.providers.conformance.suite import NAME, WILD
from tests.dns.providers.route53_double import Route53Double, failure, xml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from certwright.dns.provider import ProviderContext

STS_NS = "https://sts.amazonaws.com/doc/2011-06-15/"
ROLE = "arn:aws:iam::123456789012:role/dns"
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Aws(Route53Double):
    """Route 53, STS and the metadata services of one account.

    Attributes:
        sts_host: The only STS that answers.
        sts_error: The code of its refusal.
        signer: The secret that signs `AssumeRole`.
        sts: What it was asked.
        metadata: What a metadata service answers, by method and URL: header fields that it wants, status, body.
    """

    def __init__(self, **where: str) -> None:
        super().__init__(**where)
        self.add_zone("example.com")
        self.sts_host = "sts.us-east-1.amazonaws.com"
        self.sts_error: str | None = None
        self.signer = (SECRET, None)
        self.sts: list[dict[str, str]] = []
        self.metadata: dict[tuple[str, str], tuple[dict[str, str], int, str]] = {}
        self.asked: list[str] = []
        self.started = self.now
        self.surroundings = Surroundings({}, lambda: Metadata(self))

    def clock(self) -> dt.datetime:
        return START + dt.timedelta(seconds=self.now - self.started)

    def context(self) -> ProviderContext:
        made = super().context()
        made.clock, made.surroundings = self.clock, self.surroundings
        return made

    def environ(self, **values: str) -> None:
        self.surroundings.environ = values

    async def request(self, method: str, url: str, **given: Any) -> Response:
        if urlsplit(url).netloc.startswith("sts."):
            return self.answer_sts(method, url, given["headers"], given["content"])
        return await super().request(method, url, **given)

    def answer_sts(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> Response:
        assert url == f"https://{self.sts_host}/", url
        assert headers["Content-Type"].startswith("application/x-www-form-urlencoded")
        asked = dict(parse_qsl(content.decode(), strict_parsing=True))
        action = asked["Action"]
        params: dict[str, Any] = {name: value for name, value in asked.items() if name not in ("Action", "Version")}
        if "DurationSeconds" in params:
            params["DurationSeconds"] = int(params["DurationSeconds"])
        check_request("sts", action, params, method, "/", {}, content)
        self.sts.append(asked)
        if action == "AssumeRole":
            signed = {name: value for name, value in headers.items() if name.lower() not in UNSIGNED}
            assert signature_of(method, url, signed, content, *self.signer) == headers["Authorization"]
        else:
            assert "Authorization" not in headers, "the token alone says who it is"
        if self.sts_error is not None:
            found = failure(403 if self.sts_error == "AccessDenied" else 400, self.sts_error, STS_NS)
            return Response(found.status, found.headers, found.body, url)
        self.secret, self.token = f"{SECRET}-{len(self.sts)}", f"token-{len(self.sts)}"
        until = (self.clock() + dt.timedelta(hours=1)).isoformat().replace("+00:00", "Z")
        keys = (
            f"<AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>{self.secret}</SecretAccessKey>"
            f"<SessionToken>{self.token}</SessionToken><Expiration>{until}</Expiration>"
        )
        inner = f"<{action}Result><Credentials>{keys}</Credentials></{action}Result>"
        response = xml(200, f'<{action}Response xmlns="{STS_NS}">{inner}</{action}Response>')
        return Response(response.status, response.headers, response.body, url)

    def gives(self, method: str, url: str, body: object, *, status: int = 200, **wanted: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.metadata[method, url] = (wanted, status, text)

    def keys(self) -> dict[str, str]:
        """Return new keys as metadata services write them; from now on they alone are taken."""
        self.secret, self.token = f"{SECRET}-{self.now}", "session-token"
        until = (self.clock() + dt.timedelta(hours=6)).isoformat().replace("+00:00", "Z")
        return {
            "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": self.secret, "Token": "session-token", "Expiration": until,
        }  # fmt: skip


UNSIGNED = frozenset({"user-agent", "content-length"})


class Metadata:
    """The transport to the metadata services of this host."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], **_: object) -> Response:
        self._aws.asked.append(f"{method} {url}")
        if (method, url) not in self._aws.metadata:
            raise ConnectionFailed("connection timed out", host=urlsplit(url).netloc, request_sent=False)
        wanted, status, body = self._aws.metadata[method, url]
        assert {name.lower(): value for name, value in headers.items()}.items() >= {
            name.replace("_", "-").lower(): value for name, value in wanted.items()
        }.items()
        return Response(status, Headers({}), body.encode(), url)

    async def aclose(self) -> None:
        pass


@pytest.fixture
def aws() -> Aws:
    return Aws()


async def works(aws: Aws, config: Route53Config) -> None:
    await config.build(aws.context()).present(WILD)
    assert len(aws.values(NAME)) == 2


async def test_keys_of_an_assumed_role_are_shared_and_replaced_before_they_expire(aws: Aws) -> None:
    config = aws.config(role=ROLE)
    first = config.build(aws.context())
    other = aws.config(role=ROLE, hosted_zone_id=next(iter(aws.zones))).build(aws.context())
    await asyncio.gather(first.present(WILD[:1]), other.present(WILD[1:]))
    assert len(aws.values(NAME)) == 2
    [asked] = aws.sts
    assert asked == {
        "Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": ROLE, "RoleSessionName": "certwright",
    }  # fmt: skip
    aws.now += 54 * 60
    await first.clean_up(WILD[:1])
    assert len(aws.sts) == 1
    aws.now += 2 * 60
    await first.clean_up(WILD)
    assert len(aws.sts) == 2
    assert aws.values(NAME) == []


async def test_keys_that_aws_no_longer_takes_are_replaced_once(aws: Aws) -> None:
    provider = aws.config(role=ROLE).build(aws.context())
    await provider.present(WILD[:1])
    aws.secret, aws.denial = "revoked", lambda: failure(403, "ExpiredToken")  # type: ignore[method-assign]  # what it says then
    await provider.present(WILD)
    assert (len(aws.sts), len(aws.values(NAME))) == (2, 2)
    aws.denied = True
    with pytest.raises(ProviderRefused, match=f"the session token of the role {ROLE} has expired"):
        await provider.clean_up(WILD)
    assert len(aws.sts) == 3


async def test_a_role_that_may_not_be_assumed_is_told_once_with_both_sides_of_it(aws: Aws) -> None:
    aws.sts_error = "AccessDenied"
    provider = aws.config(role=ROLE).build(aws.context())
    outcomes = await asyncio.gather(*(provider.present(WILD) for _ in range(20)), return_exceptions=True)
    assert len(aws.sts) == 1
    for one in outcomes:
        assert isinstance(one, ProviderRefused)
        assert "the access key in accessKeyID needs the permission sts:AssumeRole" in str(one)
        assert f"for {ROLE}, and the trust policy of the role must name" in str(one)
        assert SECRET not in str(one)
    aws.sts_error = None
    aws.now += 11
    await provider.present(WILD)


def identity() -> IdentityToken:
    async def fetch() -> str:
        return "header.payload.signature"

    return IdentityToken("the ServiceAccount shop/dns", ("sts.amazonaws.com",), fetch)


async def test_a_service_account_assumes_its_role(aws: Aws) -> None:
    await works(aws, Route53Config(auth=identity(), role=ROLE))
    [asked] = aws.sts
    assert (asked["Action"], asked["WebIdentityToken"]) == ("AssumeRoleWithWebIdentity", "header.payload.signature")


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("AccessDenied", ProviderRefused, "the subject and the audience of the ServiceAccount shop/dns"),
        ("InvalidIdentityToken", ProviderRefused, "IAM must have that OIDC provider"),
        ("ExpiredTokenException", ProviderRefused, "the web identity token has expired"),
        ("RegionDisabledException", ProviderRefused, "has not activated STS in this region"),
        ("IDPCommunicationError", ProviderUnreachable, "HTTP 400, IDPCommunicationError"),
        ("ValidationError", ProviderRefused, "it does not accept the request AssumeRoleWithWebIdentity"),
    ],
)
async def test_why_a_service_account_may_not_is_told(aws: Aws, code: str, kind: type[Exception], said: str) -> None:
    aws.sts_error = code
    with pytest.raises(kind, match=said) as caught:
        await works(aws, Route53Config(auth=identity(), role=ROLE))
    assert "payload" not in str(caught.value)


async def test_keys_in_the_environment_come_first(aws: Aws) -> None:
    aws.environ(
        AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET, AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE="/x"
    )
    await works(aws, Route53Config(ambient=True))
    assert not aws.sts


@pytest.mark.parametrize(
    ("region", "host"),
    [(None, "sts.us-east-1.amazonaws.com"), ("eu-central-1", "sts.eu-central-1.amazonaws.com")],
)
async def test_irsa_reads_its_token_anew_each_time(aws: Aws, tmp_path: Path, region: str | None, host: str) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    aws.environ(
        AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=str(token), **({"AWS_REGION": region} if region else {}),
        AWS_ROLE_SESSION_NAME="of-the-pod",
    )  # fmt: skip
    aws.sts_host = host
    provider = Route53Config(ambient=True).build(aws.context())
    await provider.present(WILD)
    token.write_text("second\n")
    aws.now += 3600
    await provider.clean_up(WILD)
    assert [(one["WebIdentityToken"], one["RoleSessionName"]) for one in aws.sts] == [
        ("first", "of-the-pod"),
        ("second", "of-the-pod"),
    ]
    token.unlink()
    aws.now += 3600
    with pytest.raises(InvalidCredential, match=r"web identity token in .* cannot be read: No such file"):
        await provider.present(WILD)


async def test_the_region_of_the_solver_goes_before_that_of_the_operator(aws: Aws) -> None:
    aws.environ(AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET, AWS_REGION="eu-central-1")
    aws.sts_host = "sts.ap-south-1.amazonaws.com"
    await works(aws, Route53Config(ambient=True, role=ROLE, region="ap-south-1"))


async def test_an_access_key_of_an_issuer_does_not_use_the_region_of_the_operator(aws: Aws) -> None:
    aws.environ(AWS_REGION="cn-north-1")
    await works(aws, aws.config(ambient=True, role=ROLE))


async def test_the_partition_is_that_of_the_role() -> None:
    aws = Aws(host="route53.amazonaws.com.cn", region="cn-northwest-1")
    aws.sts_host = "sts.cn-northwest-1.amazonaws.com.cn"
    await works(aws, aws.config(role="arn:aws-cn:iam::123456789012:role/dns"))
    with pytest.raises(InvalidCredential, match="is not in the partition of the region, aws-cn"):
        aws.config(role=ROLE, region="cn-north-1").build(aws.context())


POD_IDENTITY = "http://169.254.170.23/v1/credentials"


async def test_pod_identity_gets_the_token_of_the_pod(aws: Aws, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("pods-token")
    aws.environ(
        AWS_CONTAINER_CREDENTIALS_FULL_URI=POD_IDENTITY, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "token")
    )
    aws.gives("GET", POD_IDENTITY, aws.keys(), authorization="pods-token")
    await works(aws, Route53Config(ambient=True))
    assert aws.asked == [f"GET {POD_IDENTITY}"]


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/v1", "https://evil.example/v1", "http://169.254.170.23@evil.example/", "x"]
)
async def test_the_token_of_the_pod_is_sent_nowhere_else(aws: Aws, url: str) -> None:
    aws.environ(AWS_CONTAINER_CREDENTIALS_FULL_URI=url, AWS_CONTAINER_AUTHORIZATION_TOKEN="pods-token")
    with pytest.raises(InvalidCredential, match="the token is not sent there"):
        await works(aws, Route53Config(ambient=True))
    assert aws.asked == []


async def test_a_task_of_ecs_asks_its_own_service(aws: Aws) -> None:
    aws.environ(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="/v2/credentials/1")
    aws.gives("GET", "http://169.254.170.2/v2/credentials/1", aws.keys())
    await works(aws, Route53Config(ambient=True))


IMDS = "http://169.254.169.254/latest"


async def test_the_instance_profile_is_asked_for_with_a_session_token(aws: Aws) -> None:
    aws.gives("PUT", f"{IMDS}/api/token", "metadata-token", x_aws_ec2_metadata_token_ttl_seconds="21600")
    roles = f"{IMDS}/meta-data/iam/security-credentials/"
    aws.gives("GET", roles, "node-role\n", x_aws_ec2_metadata_token="metadata-token")
    aws.gives("GET", f"{roles}node-role", {"Code": "Success", **aws.keys()}, x_aws_ec2_metadata_token="metadata-token")
    await works(aws, Route53Config(ambient=True))
    assert len(aws.asked) == 3


async def test_what_is_wrong_with_the_instance_metadata_is_told(aws: Aws) -> None:
    config = Route53Config(ambient=True)
    with pytest.raises(ProviderUnreachable, match=r"HttpPutResponseHopLimit\) is at least 2"):
        await works(aws, config)
    aws.gives("PUT", f"{IMDS}/api/token", "", status=403)
    aws.now += 11
    with pytest.raises(InvalidCredential, match=r"\(HTTP 403\): check that the instance metadata service is enabled"):
        await works(aws, config)
    aws.gives("PUT", f"{IMDS}/api/token", "t")
    aws.gives("GET", f"{IMDS}/meta-data/iam/security-credentials/", "", status=404)
    aws.now += 11
    with pytest.raises(InvalidCredential, match=r"\(HTTP 404\): give the node an instance profile"):
        await works(aws, config)
    aws.gives("GET", f"{IMDS}/meta-data/iam/security-credentials/", "../../user-data")
    aws.gives("GET", f"{IMDS}/meta-data/iam/security-credentials/..%2F..%2Fuser-data", {"AccessKeyId": SECRET})
    aws.now += 11
    with pytest.raises(ProviderUnreachable, match="nothing that is an answer") as caught:
        await works(aws, config)
    assert SECRET not in str(caught.value)
    aws.environ(AWS_EC2_METADATA_DISABLED="true")
    aws.now += 11
    with pytest.raises(InvalidCredential, match="AWS_EC2_METADATA_DISABLED is true"):
        await works(aws, config)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, r"needs credentials: name an access key .* or a ServiceAccount .*--issuer-ambient-credentials"),
        ({"access_key_id": KEY_ID, "ambient": True}, "needs both the access key ID and the secret access key"),
        ({"auth": identity()}, "the ServiceAccount shop/dns needs a role"),
        ({"auth": "x", "role": ROLE}, "is for Issuers"),
        ({"ambient": True, "role": "arn:aws:iam::1:role/x"}, "is not the ARN of an IAM role"),
        ({"ambient": True, "region": "evil.example/"}, "is not an AWS region"),
        ({"ambient": True, "hosted_zone_id": "Z1/../../change"}, "is not the ID of a hosted zone"),
    ],
)
async def test_what_cannot_be_used_is_refused_before_anything_is_sent(
    aws: Aws, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidCredential, match=said):
        Route53Config(**settings).build(aws.context())


def test_botocores_client_works_on_the_double_of_sts(aws: Aws) -> None:
    def handle(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        given = {"content-type": "Content-Type", "authorization": "Authorization", "x-amz-date": "X-Amz-Date"}
        kept = {given[name.lower()]: value for name, value in headers.items() if name.lower() in given}
        return aws.answer_sts(method, url, kept, body)

    sts = client("sts", handle, SECRET)
    made = sts.assume_role(RoleArn=ROLE, RoleSessionName="certwright")["Credentials"]
    assert made["SecretAccessKey"] == aws.secret
    assert made["Expiration"] == START + dt.timedelta(hours=1)
    web = sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="certwright", WebIdentityToken="a.b.c")
    assert web["Credentials"]["SessionToken"] == aws.token
    aws.sts_error = "ExpiredTokenException"
    with pytest.raises(sts.exceptions.ExpiredTokenException):
        sts.assume_role_with_web_identity(RoleArn=ROLE, RoleSessionName="certwright", WebIdentityToken="a.b.c")


def test_two_places_of_a_secret_do_not_share_their_keys(aws: Aws) -> None:
    context = aws.context()
    one, two = (
        Route53Config(access_key_id=KEY_ID, secret_access_key=Credential(SECRET, source)).build(context)
        for source in ("the entry a of Secret shop/dns", "the entry a of Secret bank/dns")
    )
    assert one._session is not two._session
