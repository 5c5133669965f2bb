"""Certificates for Ingresses, Gateways and ListenerSets that name an issuer in an annotation."""
