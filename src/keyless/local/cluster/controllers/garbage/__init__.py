"""Garbage collection: what has owners goes with the last of them."""
