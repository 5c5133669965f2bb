from datetime import UTC, datetime

import pytest

from certwright.resources import CertificateStatus


@pytest.mark.parametrize(
    ("text", "read", "written"),
    [
        ("2026-01-31T12:00:00.9+02:00", datetime(2026, 1, 31, 10, tzinfo=UTC), "2026-01-31T10:00:00Z"),
        ("9999-12-31T23:59:59-23:00", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00+23:00", datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
    ],
)
def test_an_instant_that_the_api_server_takes_is_read_and_written_again(
    text: str, read: datetime, written: str
) -> None:
    status = CertificateStatus.model_validate({"nextAttemptTime": text})
    assert status.next_attempt_time == read
    assert status.to_json()["nextAttemptTime"] == written
