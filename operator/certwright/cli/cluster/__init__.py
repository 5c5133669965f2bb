"""`kubectl certwright`: what people ask the operator, through the API server."""
