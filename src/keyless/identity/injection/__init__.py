"""The pod identity webhook."""
