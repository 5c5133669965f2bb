"""`certwright acme`: an ACME client for hosts without Kubernetes, on top of `certwright.client`.

`commands` declares the commands, and imports nothing heavy. Each command is implemented in the module of its name:
`account` (with rollover and deactivate), `issue`, `renew`, `revoke`, `lookup` (discover, info, ari), which is imported
when the command runs.
"""
