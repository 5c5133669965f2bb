"""Answering challenges: responses, the solvers that present them, and the self-check. Independent of Kubernetes."""
