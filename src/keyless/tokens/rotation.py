"""Key rotation (being written)."""
