"""The settings of the DNS providers that an issuer may name: one module each, and one field each in `choice`."""
