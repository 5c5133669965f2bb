"""`certwright acme`: an ACME client for hosts without Kubernetes, on top of `certwright.client`.

`commands` declares what can be typed, and imports nothing heavy. What a command does is in the module of its name:
`account` (with rollover and deactivate), `issue`, `renew`, `revoke`, `lookup` (discover, info, ari). A command imports
it when it runs.
"""
