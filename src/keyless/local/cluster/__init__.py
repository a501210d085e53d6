"""The Kubernetes API, served on loopback."""
