"""cert-manager's Certificates and issuers, served by ours: objects that they own, and the status that their tools read.

Everything in an object of cert-manager may have been written by a tenant. Its spec is translated, its status is only
compared with what it should say, and what it holds besides is left as it is.
"""
