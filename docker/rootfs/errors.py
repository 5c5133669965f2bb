"""What can go wrong."""


class RootError(Exception):
    """The base image lacks something, or is of a kind that is not supported; says what, and what would do."""
