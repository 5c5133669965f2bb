"""http-01 (RFC 8555 section 8.3) in a cluster: what answers the CA, and the route by which its request gets there.

Nothing is imported here: `program`, which runs in solver pods, needs `certwright.challenges.responder` alone.
"""
