"""DNS servers, as the tests of `dns` have them."""

from tests.dns.conftest import start, zones_fixture  # noqa: F401 - fixtures
