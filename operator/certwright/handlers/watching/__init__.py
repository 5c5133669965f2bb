"""kopf and what its watches need, behind one face."""
