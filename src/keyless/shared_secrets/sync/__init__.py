"""ExternalSecret to Secret."""
