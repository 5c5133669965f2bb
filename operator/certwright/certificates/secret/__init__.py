"""The Secrets of Certificates: what is in them, and how they are written."""
