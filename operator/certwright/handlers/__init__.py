"""Where events arrive: kopf handlers that store and enqueue them, the workers, and the HTTP endpoints."""
