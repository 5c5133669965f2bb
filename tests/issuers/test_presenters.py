from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from typing import Any, cast

import pytest

from certwright.acme import dns_account01_name
from certwright.dns import InvalidTsigKey
from certwright.dns.providers.rfc2136 import Rfc2136Provider
from certwright.failures import IssuanceError
from certwright.issuers.presenters import KEPT_SECONDS, PresenterFactory
from certwright.issuers.registry import ReadyIssuer
from certwright.kube.errors import Unavailable
from certwright.resources import AcmeIssuerSpec, Certificate
from certwright.runtime.key import Key

RFC2136 = {"nameserver": "ns1.example:5353"}
SIGNED = {**RFC2136, "tsigKeyName": "certwright", "tsigSecretSecretRef": {"name": "tsig", "key": "secret"}}
CERTIFICATE = Certificate.parse(
    {
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-web"},
        "spec": {"dnsNames": ["a.example"], "secretName": "web-tls", "issuerRef": {"name": "ca"}},
    }
)
SECRET = base64.b64encode(b"0123456789abcdef").decode()


class Cluster:
    """Holds Secrets, and counts who reads them."""

    def __init__(self) -> None:
        self.secrets: dict[tuple[str, str], dict[str, Any]] = {}
        self.reads: list[tuple[str, str]] = []
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None

    def put(self, data: dict[str, str]) -> None:
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
        self.secrets["shop", "tsig"] = {"data": encoded}

    async def read_secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        self.reads.append((namespace, name))
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.secrets.get((namespace, name))


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def factory(cluster: Cluster, time: Time) -> PresenterFactory:
    return PresenterFactory(cluster, cast("Any", None), cast("Any", None), monotonic=time)  # type: ignore[arg-type]  # the one method it needs


def issuer(*solvers: dict[str, Any], uid: str = "u-1", generation: int = 1) -> ReadyIssuer:
    spec = AcmeIssuerSpec.model_validate(
        {"server": "https://ca.example/directory", "privateKeySecretRef": {"name": "account"}, "solvers": list(solvers)}
    )
    return ReadyIssuer(
        key=Key("Issuer", "shop", "ca"),
        uid=uid,
        generation=generation,
        spec=spec,
        client=None,  # type: ignore[arg-type]  # no CA is asked
        account_url="https://ca.example/account/1",
        secrets_namespace="shop",
    )


def dns01(rfc2136: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"dns01": {"rfc2136": rfc2136, **options}}


async def make(factory: PresenterFactory, made_of: ReadyIssuer, index: int = 0) -> Any:
    return await factory.make(made_of, made_of.spec.solvers[index], CERTIFICATE)


@pytest.mark.parametrize(("strategy", "followed"), [("Follow", True), ("None", False)])
async def test_a_solver_without_credentials(
    factory: PresenterFactory, cluster: Cluster, strategy: str, *, followed: bool
) -> None:
    solver = await make(factory, issuer(dns01(RFC2136, cnameStrategy=strategy)))
    assert isinstance(solver._provider, Rfc2136Provider)
    assert solver._follow_cname is followed
    assert cluster.reads == []


async def test_the_credential_is_read_where_the_issuers_secrets_are(
    factory: PresenterFactory, cluster: Cluster
) -> None:
    cluster.put({"secret": SECRET})
    await make(factory, issuer(dns01(SIGNED)))
    assert cluster.reads == [("shop", "tsig")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "Secret shop/tsig, which Issuer shop/ca names in tsigSecretSecretRef, does not exist"),
        ({"other": "x"}, "Secret shop/tsig has no entry secret. Put the TSIG secret there"),
        ({"secret": ""}, "Secret shop/tsig has no entry secret. Put the TSIG secret there"),
    ],
    ids=["no Secret", "no entry", "empty"],
)
async def test_a_missing_credential_is_said_and_seen_as_soon_as_it_is_there(
    factory: PresenterFactory, cluster: Cluster, data: dict[str, str] | None, words: str
) -> None:
    if data is not None:
        cluster.put(data)
    with pytest.raises(IssuanceError, match=words) as caught:
        await make(factory, issuer(dns01(SIGNED)))
    assert (caught.value.reason, caught.value.costly) == ("CredentialsMissing", False)
    cluster.put({"secret": SECRET})
    assert await make(factory, issuer(dns01(SIGNED))) is not None


async def test_a_credential_that_is_no_key_is_said_without_showing_it(
    factory: PresenterFactory, cluster: Cluster
) -> None:
    cluster.put({"secret": "n0t base64!"})
    with pytest.raises(InvalidTsigKey) as caught:
        await make(factory, issuer(dns01(SIGNED)))
    assert "n0t" not in str(caught.value)


async def test_many_who_ask_at_once_read_the_credential_once(factory: PresenterFactory, cluster: Cluster) -> None:
    cluster.put({"secret": SECRET})
    cluster.gate = asyncio.Event()
    of = issuer(dns01(SIGNED))
    asking = [asyncio.create_task(make(factory, of)) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    cluster.gate.set()
    solvers = await asyncio.gather(*asking[1:])
    assert len({id(solver) for solver in solvers}) == 1
    assert len(cluster.reads) == 1


async def test_a_failure_is_told_to_all_who_wait_and_not_kept(factory: PresenterFactory, cluster: Cluster) -> None:
    cluster.error = Unavailable("read Secret shop/tsig", status=503)
    of = issuer(dns01(SIGNED))
    told = await asyncio.gather(*(make(factory, of) for _ in range(3)), return_exceptions=True)
    assert told == [cluster.error] * 3
    assert factory._kept == {}
    cluster.error = None
    cluster.put({"secret": SECRET})
    assert await make(factory, of) is not None


async def test_a_solver_is_kept_for_a_few_seconds(factory: PresenterFactory, cluster: Cluster, time: Time) -> None:
    cluster.put({"secret": SECRET})
    of = issuer(dns01(SIGNED), dns01(RFC2136))
    first = await make(factory, of)
    time.now += KEPT_SECONDS - 0.1
    assert await make(factory, of) is first
    assert await make(factory, of, 1) is not first
    time.now += 0.2
    assert await make(factory, of) is not first
    assert len(factory._kept) == 2
    time.now += 60
    await make(factory, of, 1)
    assert len(factory._kept) == 1, "what is too old is dropped, used or not"


@pytest.mark.parametrize("change", [{"generation": 2}, {"uid": "u-2"}], ids=["changed", "made anew"])
async def test_a_changed_issuer_has_solvers_of_its_own(factory: PresenterFactory, change: dict[str, Any]) -> None:
    first = await make(factory, issuer(dns01(RFC2136)))
    assert await make(factory, issuer(dns01(RFC2136), **change)) is not first


async def test_records_of_dns_account_01_are_named_by_the_account_as_it_is_now(factory: PresenterFactory) -> None:
    of_issuer = issuer(dns01(RFC2136, challengeType="dns-account-01", cnameStrategy="None"))
    for number in (1, 2):
        of_account = replace(of_issuer, account_url=f"https://ca.example/account/{number}")
        made = await make(factory, of_account)
        assert made.challenge_type == "dns-account-01"
        assert await made.place("a.example") == dns_account01_name("a.example", of_account.account_url)
