"""The pod identity webhook: gives a pod the variables and the token of its service account's AWS identity.

``plan.inject`` decides; ``service.run`` serves it as ``keyless run webhook``.
"""

from keyless.identity.injection.model import Injection, Known, MappedRole
from keyless.identity.injection.plan import inject
from keyless.identity.injection.settings import Settings

__all__ = ["Injection", "Known", "MappedRole", "Settings", "inject"]
