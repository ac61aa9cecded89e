"""diffusers pipelines as bundles."""
