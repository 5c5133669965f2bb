"""One issuer's life: its account at a CA, its credentials, and what Certificates need of it."""
