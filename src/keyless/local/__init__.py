"""The embedded default: Kubernetes and AWS on loopback, enforced."""
