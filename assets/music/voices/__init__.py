"""The instruments, each a short description of one of a few models."""
