"""The mathematics: a sampler is a table of numbers."""

from .compile import compile_plan
from .plan import Plan
from .process import Process

__all__ = ["Plan", "Process", "compile_plan"]
