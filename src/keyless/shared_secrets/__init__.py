"""Secrets of AWS in control planes: External Secrets' resources, and the Space's shared stores and external secrets.

``service.run`` is ``keyless run external-secrets-controller``; ``access.access`` declares what it must reach.
"""

from keyless.shared_secrets.access import access
from keyless.shared_secrets.settings import Settings

__all__ = ["Settings", "access"]
