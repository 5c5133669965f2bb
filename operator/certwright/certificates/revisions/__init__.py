"""Earlier revisions of a certificate: keep, evaluate and restore them."""
