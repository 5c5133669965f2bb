"""`certwright acme`: an ACME client for hosts without Kubernetes, on top of `certwright.client`.

`app` and the modules that it names with `commands_` declare what can be typed, and import nothing heavy; each command
imports its act when it runs.
"""
