"""The command `cadenza`: the shell's binding."""

from .app import main

__all__ = ["main"]
