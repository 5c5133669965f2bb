"""The last revisions of a certificate: kept, looked at, put back."""
