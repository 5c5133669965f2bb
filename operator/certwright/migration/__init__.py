"""The way over from cert-manager: what there is, what becomes of it, and the steps, each of which can be repeated."""
