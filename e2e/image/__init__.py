"""`make image`: Certwright's image as an archive, built with any tool that this machine has."""
