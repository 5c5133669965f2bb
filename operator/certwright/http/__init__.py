"""HTTPS for every client of Certwright: requests, time-outs, TLS trust and proxies; no ACME, no DNS."""
