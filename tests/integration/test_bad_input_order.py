"""What goes wrong at the CA after the account is registered: named, and neither hot nor for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.cluster import conditions
from harness.mistakes import CUT_JSON, HTML, MARKER, shown, wait_event
from testbed.exchanges import Forward
from testbed.proxy import RecordingProxy

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Tenant
    from testbed.exchanges import Action, Request, Response


def test_a_page_in_the_middle_of_an_order_is_told_and_got_over(tenant: Tenant, operator_log: Path) -> None:
    pages = {"/order-plz": HTML, "/finalize-order/": CUT_JSON}
    served: list[str] = []

    def interfere(request: Request, _: Response) -> Action:
        path = next((path for path in pages if request.path.startswith(path) and path not in served), None)
        if path is None:
            return Forward()
        served.append(path)
        return pages[path]

    with RecordingProxy.for_pebble(tenant.bed.pebble) as proxy:
        tenant.add_issuer("behind", server=proxy.directory_url)
        proxy.on_response = interfere
        tenant.apply("paged", f"paged.{tenant.namespace}.example.test", issuerRef={"name": "behind"})
        message = tenant.not_ready("paged", "CAMalformedResponse")["message"]
        assert f"Not an ACME response from {proxy.url}/order-plz (HTTP 200)" in message
        found = tenant.ready("paged")
    assert sorted(served) == sorted(pages)
    assert found["status"]["revision"] == 1
    assert MARKER not in shown(tenant, operator_log)


def test_a_name_that_the_ca_refuses_is_named_and_not_ordered_again(tenant: Tenant) -> None:
    refused: list[bytes] = []

    def count(_: Request, response: Response) -> Action:
        if b"rejectedIdentifier" in response.body:
            refused.append(response.body)
        return Forward()

    with RecordingProxy.for_pebble(tenant.bed.pebble) as proxy:
        tenant.add_issuer("counted", server=proxy.directory_url)
        proxy.on_response = count
        bad, fine = "shop.blocked.example.test", f"shop.{tenant.namespace}.example.test"
        tenant.apply("shop", fine, bad, issuerRef={"name": "counted"})
        message = tenant.not_ready("shop", "RejectedIdentifier")["message"]
        assert bad in message
        assert "Leave the name out, or use another CA" in message
        found = tenant.cluster.get("Certificate", tenant.namespace, "shop") or {}
        assert f"The next attempt is at {found['status']['nextAttemptTime']}" in message
        assert found["status"]["failedAttempts"] == 1
        entries = {entry["name"]: entry for entry in found["status"]["order"]["authorizations"]}
        assert bad in entries[bad]["error"]
        assert wait_event(tenant.cluster, tenant.namespace, "shop", "RejectedIdentifier")["type"] == "Warning"
        # News about the object, and somebody else's order, are no reason to try again.
        tenant.cluster.patch("Certificate", tenant.namespace, "shop", {"metadata": {"labels": {"touched": "yes"}}})
        tenant.apply("beside", f"beside.{tenant.namespace}.example.test", issuerRef={"name": "counted"})
        tenant.ready("beside")
        assert len(refused) == 1
        tenant.apply("shop", fine, issuerRef={"name": "counted"})
        found = tenant.ready("shop")
    assert "failedAttempts" not in found["status"] or found["status"]["failedAttempts"] == 0
    assert "nextAttemptTime" not in found["status"]
    assert conditions(found)["Issuing"]["status"] == "False"
