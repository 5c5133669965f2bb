"""Serves cert-manager's Certificates and issuers: our objects, owned by theirs, and the status that their tools read.

Everything in an object of cert-manager may come from a tenant. Its spec is translated, its status is only compared with
the expected one, and everything else is left unchanged.
"""
