"""The Kubernetes API: requests, server-side apply, Events, stores of watched objects, the Lease."""
