"""Amazon Web Services: signatures, credentials and answers, for its DNS."""
