"""Staged rotation: a new version reaches some control planes first, and the others when it does well there."""
