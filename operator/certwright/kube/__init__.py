"""The API server: requests, server-side apply, Events, what the watches told, the Lease."""
