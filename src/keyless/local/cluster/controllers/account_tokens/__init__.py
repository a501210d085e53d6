"""Fills Secrets of type ``kubernetes.io/service-account-token``, and removes them with their account."""
