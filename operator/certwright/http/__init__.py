"""HTTPS for all of Certwright: requests, timeouts, TLS trust and proxies. Independent of ACME and DNS."""
