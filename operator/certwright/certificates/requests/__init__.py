"""Requests (`spec.request`): which one is pending or running, what each action means, and its result."""
