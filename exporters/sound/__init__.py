"""The embedded sound model: a synthesiser, a small latent audio model of its sounds, and the bundle."""
