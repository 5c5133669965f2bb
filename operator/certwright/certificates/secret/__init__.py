"""The Secrets of Certificates: their contents, and how they are written."""
