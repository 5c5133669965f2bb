"""What can go wrong."""


class RootError(Exception):
    """The base image lacks something or is not supported; the message says what is needed."""
