from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import datetime as dt
import socket
import sys
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest

from certwright.challenges.response import RecordResponse
from certwright.dns import InvalidServer, InvalidTsigKey, ProviderUnreachable, ResolutionFailed
from certwright.dns import providers as registry
from certwright.dns.credential import Credential, credential, credential_name
from certwright.failures import IssuanceError, classify
from certwright.http.message import Headers, Response
from certwright.issuers import dns_providers as module
from certwright.issuers.dns_providers import IDLE_SECONDS, MAX_CONNECTIONS, DnsProviders
from certwright.issuers.registry import ReadyIssuer
from certwright.resources import AcmeIssuerSpec, Dns01
from certwright.resources.dns_providers.base import DnsProvider, provider_fields
from certwright.resources.references import SecretKeyRef
from certwright.runtime.key import Key
from certwright.runtime.turns import TENANT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from certwright.dns.provider import ProviderContext
    from certwright.dns.records import TxtRecord
    from certwright.resources.base import Model

SIGNED = {
    "rfc2136": {
        "nameserver": "ns1.example:5353",
        "tsigKeyName": "certwright",
        "tsigSecretSecretRef": {"name": "tsig", "key": "secret"},
    }
}
OPEN = {"rfc2136": {"nameserver": "ns1.example:5353"}}
RECORD = RecordResponse("_acme-challenge.a.example", "value")


class Secrets:
    """The Secrets of one namespace."""

    def __init__(self) -> None:
        self.values = {"tsig": "c2VjcmV0", "token": "t0ken"}
        self.reads: list[str] = []

    async def read_secret(self, _namespace: str, name: str) -> dict[str, Any] | None:
        self.reads.append(name)
        value = self.values.get(name)
        return None if value is None else {"data": {"secret": base64.b64encode(value.encode()).decode()}}


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def pool(secrets: Secrets, time: Time) -> DnsProviders:
    return DnsProviders(secrets, cast("Any", None), monotonic=time)  # type: ignore[arg-type]  # the one method it needs


def issuer(name: str = "ca", namespace: str = "shop") -> ReadyIssuer:
    spec = {"server": "https://ca.example/d", "privateKeySecretRef": {"name": "account"}, "solvers": [{"dns01": OPEN}]}
    return ReadyIssuer(
        key=Key("Issuer", namespace, name),
        uid=f"uid-{name}",
        generation=1,
        spec=AcmeIssuerSpec.model_validate(spec),
        client=None,  # type: ignore[arg-type]  # no CA is asked
        account_url="https://ca.example/account/1",
        secrets_namespace=namespace,
    )


async def provider(
    pool: DnsProviders, spec: dict[str, Any] = SIGNED, *, of: str = "ca", namespace: str = "shop"
) -> Any:
    presenter: Any = await pool.presenter(issuer(of, namespace), Dns01.model_validate(spec))
    return presenter._provider


async def test_two_issuers_that_name_the_same_share_a_provider(pool: DnsProviders) -> None:
    assert await provider(pool) is await provider(pool, of="other")
    assert len(pool) == 1


@pytest.mark.parametrize(
    "other",
    [
        OPEN,
        {"rfc2136": {**SIGNED["rfc2136"], "nameserver": "ns2.example"}},
        {"rfc2136": {**SIGNED["rfc2136"], "tsigKeyName": "another"}},
        {**SIGNED, "nameservers": ["192.0.2.1"]},
    ],
    ids=["no key", "server", "key", "resolvers"],
)
async def test_what_differs_has_a_provider_of_its_own(pool: DnsProviders, other: dict[str, Any]) -> None:
    assert await provider(pool) is not await provider(pool, other)
    assert len(pool) == 2


async def test_a_provider_that_knows_its_zones_is_shared_whichever_resolvers_are_asked(pool: DnsProviders) -> None:
    spec = {"cloudflare": {"apiTokenSecretRef": {"name": "token", "key": "secret"}}}
    assert await provider(pool, spec) is await provider(pool, {**spec, "nameservers": ["192.0.2.1"]})
    assert len(pool) == 1


async def test_how_long_and_whether_aliases_are_followed_is_each_solvers_own(pool: DnsProviders) -> None:
    patient: Any = await pool.presenter(issuer(), Dns01.model_validate({**OPEN, "propagationTimeout": "9m"}))
    strict: Any = await pool.presenter(issuer(), Dns01.model_validate({**OPEN, "cnameStrategy": "None"}))
    assert patient._provider is strict._provider
    assert (patient.patience.total_seconds(), strict.patience.total_seconds()) == (540, 120)
    assert (patient._follow_cname, strict._follow_cname) == (True, False)


@pytest.mark.parametrize(
    ("kind", "zones", "allowed"),
    [
        ("Issuer", [], None),
        ("Issuer", ["acme.example"], ("acme.example",)),
        ("ClusterIssuer", [], ()),
        ("ClusterIssuer", ["acme.example"], ("acme.example",)),
    ],
)
async def test_a_cluster_issuer_follows_aliases_only_to_zones_that_it_names(
    pool: DnsProviders, kind: str, zones: list[str], allowed: tuple[str, ...] | None
) -> None:
    named = dataclasses.replace(issuer(), key=Key(kind, "", "ca"))
    made: Any = await pool.presenter(named, Dns01.model_validate({**OPEN, "allowedTargets": zones}))
    assert made._allowed_targets == allowed


async def test_a_provider_outlives_its_look_and_a_corrected_credential_makes_another(
    pool: DnsProviders, secrets: Secrets, time: Time
) -> None:
    first = await provider(pool)
    time.now += IDLE_SECONDS - 1
    assert await provider(pool) is first
    secrets.values["tsig"] = "b3RoZXI="
    assert await provider(pool) is not first
    assert secrets.reads == ["tsig"] * 3


async def test_a_self_check_is_as_the_solver_says(pool: DnsProviders) -> None:
    settings = {
        "selfCheck": "advisory",
        "selfCheckViews": ["recursive"],
        "nameservers": ["https://dns.example.net/dns-query"],
        "propagationTimeout": "3m",
        "propagationWait": "20s",
    }
    presenter: Any = await pool.presenter(issuer(), Dns01.model_validate({**OPEN, **settings}))
    assert presenter.self_check == "advisory"
    assert (presenter.patience, presenter.settling) == (dt.timedelta(minutes=3), dt.timedelta(seconds=20))
    assert presenter._view._views == {"recursive"}
    default: Any = await pool.presenter(issuer(), Dns01.model_validate(OPEN))
    assert (default.self_check, default.settling, default._view._views) == (
        "required",
        dt.timedelta(),
        {"authoritative"},
    )


async def test_a_resolver_over_https_that_a_tenant_names_leads_to_no_address_of_the_clouds_own(
    pool: DnsProviders,
) -> None:
    settings = {"selfCheckViews": ["recursive"], "nameservers": ["https://169.254.169.254/latest/meta-data"]}
    presenter: Any = await pool.presenter(issuer(), Dns01.model_validate({**OPEN, **settings}))
    (seen,) = await presenter.check([RECORD])
    assert not seen.complete
    assert "metadata service" in seen.describe()
    await pool.aclose()


async def test_how_long_records_are_looked_for_depends_on_the_provider_unless_the_solver_says(
    pool: DnsProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual: Any = await pool.presenter(issuer(), Dns01.model_validate(OPEN))
    assert usual.patience == dt.timedelta(minutes=2)
    slow = dt.timedelta(minutes=20)
    monkeypatch.setattr(registry.config_type("rfc2136"), "patience", slow, raising=False)
    assert (await pool.presenter(issuer(), Dns01.model_validate(OPEN))).patience == slow
    told = Dns01.model_validate({**OPEN, "propagationTimeout": "3m"})
    assert (await pool.presenter(issuer(), told)).patience == dt.timedelta(minutes=3)
    waits = Dns01.model_validate({**OPEN, "propagationWait": "30m"})
    assert (await pool.presenter(issuer(), waits)).patience == dt.timedelta(minutes=30)


async def test_the_zone_and_the_ttl_of_a_solver_go_with_its_records(pool: DnsProviders) -> None:
    made: Any = await pool.presenter(issuer(), Dns01.model_validate({**OPEN, "zone": "a.example", "ttl": 300}))
    plain: Any = await pool.presenter(issuer(), Dns01.model_validate(OPEN))
    assert [(one.zone, one.ttl) for one in made._placed([RECORD])] == [("a.example", 300)]
    assert made._provider is plain._provider, "the throttle is the credential's"


async def test_views_with_the_same_servers_are_shared(pool: DnsProviders) -> None:
    one: Any = await pool.presenter(issuer(), Dns01.model_validate(OPEN))
    two: Any = await pool.presenter(issuer(), Dns01.model_validate(SIGNED))
    other: Any = await pool.presenter(issuer(), Dns01.model_validate({**OPEN, "nameservers": ["192.0.2.1"]}))
    assert one._view is two._view
    assert other._view is not one._view


async def test_what_is_asked_for_no_more_is_dropped(pool: DnsProviders, time: Time) -> None:
    first = await provider(pool)
    time.now += IDLE_SECONDS / 2
    await provider(pool, OPEN)
    time.now += IDLE_SECONDS / 2
    await provider(pool, OPEN)
    assert len(pool) == 1
    assert await provider(pool) is not first


async def test_the_pool_is_bounded_and_drops_what_was_used_least_recently(
    pool: DnsProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PROVIDERS", 3)
    specs: list[dict[str, Any]] = [{"rfc2136": {"nameserver": f"ns{number}.example"}} for number in range(4)]
    made = [await provider(pool, spec) for spec in specs[:3]]
    assert await provider(pool, specs[0]) is made[0]
    await provider(pool, specs[3])
    assert len(pool) == 3
    assert await provider(pool, specs[0]) is made[0]
    assert await provider(pool, specs[1]) is not made[1]


async def test_what_cannot_be_used_is_told_and_not_kept(pool: DnsProviders, secrets: Secrets) -> None:
    secrets.values["tsig"] = "n0t base64!"
    with pytest.raises(InvalidTsigKey) as caught:
        await provider(pool)
    assert "n0t" not in str(caught.value)
    assert len(pool) == 0


async def test_a_credential_that_is_missing_is_told_in_the_providers_own_words(
    pool: DnsProviders, secrets: Secrets
) -> None:
    del secrets.values["tsig"]
    with pytest.raises(IssuanceError, match="names in tsigSecretSecretRef") as caught:
        await provider(pool)
    assert "Create it with the TSIG secret in the entry secret." in str(caught.value)


async def test_a_credential_is_shown_by_nothing_that_prints_its_holder() -> None:
    config: Any = registry.config_type("rfc2136")
    made = config("ns1.example", "key", tsig_secret=Credential("c2VjcmV0", source="a Secret"))
    assert "c2VjcmV0" not in repr(made)


async def test_the_same_secret_in_two_namespaces_makes_two_providers_whose_errors_name_their_own(
    pool: DnsProviders, secrets: Secrets
) -> None:
    secrets.values["tsig"] = "n0t base64!"
    for namespace in ("shop", "bank"):
        with pytest.raises(InvalidTsigKey, match=f"Secret {namespace}/tsig"):
            await provider(pool, namespace=namespace)
    secrets.values["tsig"] = "c2VjcmV0"
    assert await provider(pool, namespace="shop") is not await provider(pool, namespace="bank")
    assert len(pool) == 2


def test_every_provider_of_the_registry_is_a_field_of_the_issuer_with_the_same_settings() -> None:
    """The resource and the provider meet by name: neither may have what the other lacks."""
    models = {
        name: next(one for one in annotation_of(Dns01, name) if issubclass(one, DnsProvider))
        for name in Dns01.model_fields
        if any(isinstance(one, type) and issubclass(one, DnsProvider) for one in annotation_of(Dns01, name))
    }
    # Webhooks are called by the API server, which the library does not know.
    assert models.keys() == registry.PROVIDERS.keys() | {"webhook"}
    del models["webhook"]
    for name, model in models.items():
        of_config = {one.name: credential_name(one.metadata) is not None for one in fields(registry.config_type(name))}  # type: ignore[arg-type]  # a dataclass
        of_config.pop(registry.AMBIENT, None)
        of_model = {
            one.removesuffix("_secret_ref"): SecretKeyRef in annotation_of(model, one) for one in model.model_fields
        }
        assert of_config == of_model, name


def annotation_of(model: type[Model], name: str) -> tuple[Any, ...]:
    annotation = model.model_fields[name].annotation
    return get_args(annotation) or (annotation,)


# A provider as the next ones will be: it speaks HTTPS with a token.


@dataclass(frozen=True)
class ToyConfig:
    zone: str
    api_token: Credential = field(metadata=credential("API token"))

    @property
    def destination(self) -> str:
        return self.zone

    def build(self, context: ProviderContext) -> Toy:
        return Toy(self, context)


class Toy:
    def __init__(self, config: ToyConfig, context: ProviderContext) -> None:
        self.config = config
        self.context = context

    async def present(self, records: Sequence[TxtRecord]) -> None:
        await self._send("PUT", records)

    async def clean_up(self, records: Sequence[TxtRecord]) -> None:
        await self._send("DELETE", records)

    async def _send(self, method: str, records: Sequence[TxtRecord]) -> None:
        headers = {"Authorization": f"Bearer {self.config.api_token.value}"}
        for record in records:
            url = f"https://{self.config.zone}/{record.name}"
            await self.context.request(method, url, headers=headers, content=record.value.encode())


class ToyModel(DnsProvider):
    zone: str
    api_token_secret_ref: SecretKeyRef


class ToyDns01(Dns01):
    toy: ToyModel | None = None


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ToyDns01:
    there = ModuleType("certwright.dns.providers.toy")
    there.ToyConfig = ToyConfig  # type: ignore[attr-defined]  # a module made here
    monkeypatch.setitem(sys.modules, there.__name__, there)
    monkeypatch.setattr(registry, "PROVIDERS", {**registry.PROVIDERS, "toy": "ToyConfig"})
    return ToyDns01.model_validate(
        {"toy": {"zone": "z.example", "apiTokenSecretRef": {"name": "token", "key": "secret"}}}
    )


async def test_a_new_provider_needs_nothing_but_its_module_its_model_and_two_lines(
    pool: DnsProviders, toy: ToyDns01, secrets: Secrets
) -> None:
    presenter: Any = await pool.presenter(issuer(), toy)
    made = presenter._provider
    assert isinstance(made, Toy)
    assert (made.config.zone, made.config.api_token.value) == ("z.example", "t0ken")
    assert presenter.destination == "z.example"
    del secrets.values["token"]
    with pytest.raises(
        IssuanceError, match=r"names in apiTokenSecretRef, does not exist[.] Create it with the API token"
    ):
        await pool.presenter(issuer(), toy)


async def test_providers_share_one_transport_which_is_closed_with_the_pool(
    pool: DnsProviders, toy: ToyDns01, secrets: Secrets
) -> None:
    one: Any = await pool.presenter(issuer(), toy)
    secrets.values["token"] = "another"
    two: Any = await pool.presenter(issuer(), toy)
    assert one._provider is not two._provider
    assert one._provider.context._transport() is two._provider.context._transport()
    await pool.aclose()
    assert len(pool) == 0
    assert pool._transport is None


def test_exactly_one_provider_is_named_by_a_rule_that_grows_with_them() -> None:
    names = ", ".join(provider_fields(Dns01))
    both = {"toy": {"zone": "z", "apiTokenSecretRef": {"name": "t", "key": "k"}}, **OPEN}
    for wrong in (both, {}):
        with pytest.raises(ValueError, match=f"must name one DNS provider: {names}, toy"):
            ToyDns01.model_validate(wrong)
    with pytest.raises(ValueError, match=f"must name at most one DNS provider: {names}, toy"):
        ToyDns01.model_validate({"challengeType": "dns-persist-01", **both})
    rule, *_, at_most = ToyDns01.model_json_schema()["x-kubernetes-validations"]
    given = ", ".join(f"has(self.{name})" for name in provider_fields(ToyDns01))
    assert rule["rule"] == f"self.challengeType == 'dns-persist-01' || [{given}].exists_one(given, given)"
    assert at_most["rule"] == f"!(self.challengeType == 'dns-persist-01') || [{given}].filter(given, given).size() <= 1"
    rule, *_ = Dns01.model_json_schema()["x-kubernetes-validations"]
    assert rule["message"] == f"must name one DNS provider: {names}"


async def test_a_server_that_is_none_is_told(pool: DnsProviders) -> None:
    spec = Dns01.model_construct(rfc2136=Dns01.model_validate(OPEN).rfc2136.model_copy(update={"nameserver": ""}))  # type: ignore[union-attr]  # it is there
    with pytest.raises(InvalidServer):
        await pool.presenter(issuer(), spec)


async def test_a_provider_whose_api_cannot_be_reached_is_a_dns_failure_and_shows_no_token(
    pool: DnsProviders, toy: ToyDns01
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{closed.getsockname()[1]}"
        toy = ToyDns01(toy=ToyModel(zone=nobody, api_token_secret_ref=SecretKeyRef(name="token", key="secret")))
        presenter: Any = await pool.presenter(issuer(), toy)
        with pytest.raises(ProviderUnreachable, match="Connection refused") as caught:
            await presenter.clean_up([RECORD])
    await pool.aclose()
    failure = classify(caught.value, dt.datetime.now(dt.UTC))
    assert (failure.reason, failure.kind) == ("DNSProviderUnreachable", "transient")
    assert "t0ken" not in failure.message


WEBHOOK = {"webhook": {"groupName": "acme.example.test", "solverName": "example", "config": {"b": 1, "a": [2]}}}


async def test_a_webhook_is_shared_by_those_whose_secrets_it_reads_in_the_same_place(pool: DnsProviders) -> None:
    spec = Dns01.model_validate(WEBHOOK)
    shop: Any = await pool.presenter(issuer(namespace="shop"), spec)
    again: Any = await pool.presenter(issuer(namespace="shop"), Dns01.model_validate(WEBHOOK))
    bank: Any = await pool.presenter(issuer(namespace="bank"), spec)
    assert shop._provider is again._provider
    assert shop._provider is not bank._provider
    config = shop._provider._config
    assert (config.resource_namespace, config.config, config.ambient) == ("shop", '{"a": [2], "b": 1}', False)
    assert shop.destination == "example.acme.example.test"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"groupName": "acme.example.test/v1alpha1"}, "must be the group alone, without a version or a solver"),
        ({"groupName": "Acme.example.test"}, "is not an API group"),
        ({"solverName": ".."}, "is not the name of a solver"),
        ({"solverName": "a/b"}, "is not the name of a solver"),
        ({"config": {"a": "x" * 16384}}, "config must not have more than 16384 characters as JSON"),
    ],
)
def test_a_webhook_that_cannot_be_called_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Dns01.model_validate({"webhook": {**WEBHOOK["webhook"], **changed}})


async def test_resolvers_of_one_namespace_that_never_answer_hold_up_no_other(
    pool: DnsProviders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a tenant whose DNS over HTTPS servers, a hundred of them, take every query and say nothing."""
    sent, full = [], asyncio.Event()

    class Silent:
        def __init__(self, *, max_connections: int = 6, **_: object) -> None:
            self.places = asyncio.Semaphore(max_connections)

        async def request(self, _method: str, url: str, **_: object) -> Response:
            async with self.places:
                sent.append(url)
                if len(sent) == MAX_CONNECTIONS * 3 // 4:
                    full.set()
                if "silent" in url:
                    await asyncio.Event().wait()
                return Response(503, Headers({}), b"", url)

        async def aclose(self) -> None: ...

    monkeypatch.setattr(module, "HttpxTransport", Silent)

    async def ask(tenant: str, url: str) -> None:
        TENANT.set(tenant)
        view = pool.view_through((url,))
        with contextlib.suppress(ResolutionFailed):
            await view.follow_cname("a.example.test")

    hosts = [f"https://{number}.silent.example/dns-query" for number in range(100)]
    evil = [asyncio.create_task(ask("evil", url)) for url in hosts]
    evil += [asyncio.create_task(ask("evil", "https://shared.silent.example/dns-query")) for _ in range(20)]
    await full.wait()
    async with asyncio.timeout(2):
        await ask("good", "https://dns.example/dns-query")
    assert sent[-1] == "https://dns.example/dns-query"
    for task in evil:
        task.cancel()
    await asyncio.gather(*evil, return_exceptions=True)
    await pool.aclose()
