"""The life of an issuer: its account at a CA, its credentials, and what Certificates need from it."""
