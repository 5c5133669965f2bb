"""Base classes for providers with an HTTPS API.

`HostedProvider` is the base: every zone has one queue, in which later changes are collected for the next request, and
the provider's list of zones determines which zone contains a name. `RecordProvider` is for APIs that find, create and
delete records by ID.
"""
