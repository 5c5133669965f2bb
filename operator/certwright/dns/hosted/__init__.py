"""What providers with an API over HTTPS share.

`HostedProvider` is the base: every zone has one queue, in which later changes join the next request, and the provider's
own list of zones says which zone contains a name. `RecordProvider` is for APIs that find, create and delete records by
ID.
"""
