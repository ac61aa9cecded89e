"""Token models in the engine: sampling, and jobs whose row is a step of a sequence."""
