"""Requests of people: which one is pending or running, what each action means, what came of it."""
