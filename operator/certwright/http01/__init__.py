"""http-01 (RFC 8555 section 8.3) in a cluster: the server that answers the CA, and the route to it.

Nothing is imported here: `program`, which runs in solver pods, needs `certwright.challenges.responder` alone.
"""
