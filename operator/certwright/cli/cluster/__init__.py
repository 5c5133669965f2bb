"""`kubectl certwright`: status, requests and checks, through the API server."""
