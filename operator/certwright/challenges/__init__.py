"""How challenges are answered: what the CA looks for, the solvers that provide it, the self-check; no Kubernetes."""
