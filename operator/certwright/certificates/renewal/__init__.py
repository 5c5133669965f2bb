"""When to renew a certificate: by its lifetime, maintenance windows, and the CA's suggestion."""
