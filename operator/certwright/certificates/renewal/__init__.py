"""When a certificate is to be renewed: by its life, by windows, by what the CA suggests."""
