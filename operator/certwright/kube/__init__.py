"""The one gateway to the API server: requests, server-side apply, Events, what the watches told."""
