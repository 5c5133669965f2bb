"""The watches, which kopf runs; nothing else imports kopf."""

from certwright.handlers.watching.watcher import Watcher

__all__ = ["Watcher"]
