"""Certwright: TLS certificates for Kubernetes that renew by themselves, and the ACME client underneath."""
