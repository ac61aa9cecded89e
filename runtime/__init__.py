"""From a recipe to a finished latent."""

from .solver import Plan, Process, compile_plan

__all__ = ["Plan", "Process", "compile_plan"]
