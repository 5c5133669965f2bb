from __future__ import annotations

from testbed.metrics import RequestKind, parse_request_counts

TEXT = """\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",group="",resource="secrets",scope="resource",subresource="",verb="GET"} 3
apiserver_request_total{code="200",group="",resource="secrets",scope="namespace",subresource="",verb="GET"} 2
apiserver_request_total{code="200",group="certwright.io",resource="certificates",subresource="status",verb="APPLY"} 10
apiserver_request_total_other{code="200",verb="GET"} 9
apiserver_request_duration_seconds_count{verb="GET"} 7
"""


def test_request_counters_are_summed_by_kind() -> None:
    assert parse_request_counts(TEXT) == {
        RequestKind("GET", "", "secrets", "", "200"): 5,
        RequestKind("APPLY", "certwright.io", "certificates", "status", "200"): 10,
    }
