"""`check`: whether everything is there that Certwright needs, from where the command runs."""
