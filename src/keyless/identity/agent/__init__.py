"""The Pod Identity agent: exchanges a pod's token for credentials of its association's role.

``service.run`` serves it as ``keyless run agent``; on EKS, AWS's own agent does this and ours stays off.
"""

from keyless.identity.agent.settings import Settings

__all__ = ["Settings"]
