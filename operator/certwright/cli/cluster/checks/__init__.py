"""`check`: whether everything that Certwright needs is available, as seen from where the command runs."""
