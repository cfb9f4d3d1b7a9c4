"""Sweeps: one configuration trained at many points."""
