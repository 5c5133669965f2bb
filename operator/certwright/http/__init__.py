"""HTTPS as every client of Certwright speaks it: bytes, time-outs, TLS trust and proxies; no ACME, no DNS."""
