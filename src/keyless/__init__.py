"""Keyless: a self-hosted Space on Kubernetes whose components hold no cloud keys."""
