"""EKS Auth: a pod's token for credentials of the role that its association names."""

from keyless.local.cloud.eks_auth.eks_auth import EksAuth

__all__ = ["EksAuth"]
