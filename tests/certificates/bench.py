"""The reconciler of Certificates with an API server, a CA and a DNS of a few lines."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from certwright.certificates.reconciler import CertificateReconciler
from certwright.certificates.secret.given import Secrets
from certwright.certificates.store import Certificates
from certwright.certificates.tools import Tools
from certwright.challenges.holders import Holders
from certwright.issuers.authorities import Authority
from certwright.issuers.budgets import AccountBudget, Budgets
from certwright.issuers.left_records import LeftRecords
from certwright.issuers.namespaces import Namespaces
from certwright.issuers.registry import IssuerRegistry, ReadyIssuer
from certwright.metrics import Metrics
from certwright.resources import READY, CertificateStatus, Condition, find_condition
from certwright.runtime.key import Key
from certwright.runtime.leadership import Leadership
from tests.fakes.acme_client import PLACE, FakeAcmeClient
from tests.fakes.kube import FakeCluster
from tests.fakes.solvers import FakeDns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certwright import acme
    from certwright.certificates.guard import Rival
    from certwright.certificates.secret.facts import SecretFacts
    from certwright.challenges.response import RecordResponse
    from certwright.kube.events import Subject
    from certwright.runtime.result import Result
    from tests.fakes.operator import Body, Build, FakeKubeApi

WEB, CA = Key("Certificate", "team", "web"), Key("Issuer", "team", "ca")


class CountedCluster:
    """Passes requests on to the API server, and notes which there were."""

    def __init__(self, cluster: Any, asked: list[str]) -> None:
        self._cluster, self._asked = cluster, asked

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._cluster, verb)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._asked.append(verb)
            return found(*arguments, **options)

        return call


async def _no_server(_key: Key) -> None:
    """There is no CA behind the issuers but the fake client."""


class Bench:
    """The reconciler and everything around it, with a clock that only sleeping moves."""

    def __init__(self, build: Build, kube_api: FakeKubeApi, now: dt.datetime) -> None:
        self.build, self.now = build, now
        self.ca, self.dns, self.cluster = FakeAcmeClient(build, lambda: self.now), FakeDns(), FakeCluster(kube_api)
        self.events: list[str] = []
        self.messages: dict[str, str] = {}
        self.registry = IssuerRegistry(lambda: self.now)
        self.budgets = self.full_budgets()
        self.lost: list[Key] = []
        self.refused: list[tuple[Key, str]] = []
        self.action_required: list[Key] = []
        self.forgotten: list[str] = []
        self.passes = 0
        self.rival: Rival | None = None
        self.leadership = Leadership.unlimited()
        self.loads = 0
        self.server_of: Any = _no_server
        self.issuer_spec: dict[str, Any] = {}
        self.ready()
        self.restart()

    def full_budgets(self) -> Budgets:
        """Budgets of a new process."""
        return Budgets(lambda: self.now, self._seconds)

    def _seconds(self) -> float:
        return self.now.timestamp()

    def ready(self) -> None:
        spec = self.build.issuer(**self.issuer_spec)
        self.loads += 1
        issuer = ReadyIssuer(
            CA,
            "uid-ca",
            self.loads,
            spec,
            cast("acme.Client", self.ca),
            f"{PLACE}/account/1",
            "team",
            budget=AccountBudget(self.budgets.of(Authority.of(spec), spec), "account"),
            loads=self.loads,
        )
        self.registry.set_ready(issuer)

    def restart(self, *, late: Body | None = None) -> None:
        """A new process: it knows what the API server knows, or knew some time ago."""
        self.certificates: Certificates = Certificates()
        self.secrets = Secrets()
        self.ledger: Holders[RecordResponse] = Holders()
        self.left = LeftRecords(
            cast("Any", self.cluster), namespace="certwright", release="certwright", clock=lambda: self.now
        )
        if body := late or self.cluster.body:
            self.certificates.put(body)
        tools = Tools(
            kube_api=cast("Any", self.cluster),
            namespaces=Namespaces(cast("Any", self.cluster), lambda: self.now),
            registry=self.registry,
            presenters=self.solvers(),
            ledger=self.ledger,
            left=self.left,
            recorder=cast("Any", SimpleNamespace(record=self.record)),
            budgets=self.budgets,
            metrics=Metrics(),
            clock=lambda: self.now,
            leadership=self.leadership,
            on_written=self.certificates.put,
            on_secret_written=self.take_secret,
            server_of=self.server_of,
        )
        self.reconciler = CertificateReconciler(
            tools=tools,
            certificates=self.certificates,
            secrets=self.secrets,
            look_at_issuer=lambda _: None,
            account_lost=self.lost.append,
            account_refused=lambda key, why: self.refused.append((key, why)),
            action_required=self.action_required.append,
            rival_of=lambda _certificate: self.rival,
        )

    def take_secret(self, facts: SecretFacts) -> None:
        """The watch of Secrets brings what was written."""
        place = {"namespace": "team", "name": facts.name, "resourceVersion": facts.resource_version}
        self.secrets.put(place, facts)

    def solvers(self) -> Any:
        """What makes solvers, in this process."""
        return SimpleNamespace(make=self.solver, forget=self.forgotten.append)

    async def solver(self, *_: Any) -> FakeDns:
        return self.dns

    def record(self, _subject: Subject, _kind: str, reason: str, message: str) -> None:
        self.events.append(reason)
        self.messages[reason] = message

    def write(self, *names: str, metadata: Mapping[str, Any] | None = None, **spec: Any) -> None:
        """Somebody writes the Certificate."""
        body = self.build.certificate(*names, metadata=metadata, **spec)
        content = body.model_dump(mode="json", by_alias=True, exclude_none=True)
        content["status"] = self.cluster.body.get("status", {})
        kept = self.cluster.body.get("metadata", {}).get("finalizers", [])
        content["metadata"] |= {"finalizers": kept}
        self.cluster.take(content)
        self.certificates.put(self.cluster.body)

    def counting(self) -> list[str]:
        """Begin a process whose requests to the API server are noted in the list that is returned."""
        asked: list[str] = []
        self.cluster = cast("Any", CountedCluster(self.cluster, asked))
        self.restart()
        return asked

    async def look(self) -> Result:
        self.passes += 1
        return await self.reconciler.reconcile(WEB)

    async def run(self, for_seconds: float = 3600) -> None:
        """Look as often as the reconciler asks for, for so long."""
        end = self.now + dt.timedelta(seconds=for_seconds)
        while (pause := (await self.look()).after) is not None and self.now + pause <= end:
            self.now += pause
        self.now = end

    @property
    def status(self) -> CertificateStatus:
        return CertificateStatus.model_validate(self.cluster.body.get("status", {}))

    def condition(self, kind: str = READY) -> Condition:
        found = find_condition(self.status.conditions, kind)
        assert found is not None
        return found

    @property
    def finalizers(self) -> list[str]:
        return list(self.cluster.body["metadata"].get("finalizers", []))

    @property
    def secret_names(self) -> set[str]:
        return {name for _, name in self.cluster.secrets.secrets}
