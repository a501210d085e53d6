"""The instance metadata service, version 2 alone: how a node's processes get the node role."""

from keyless.local.cloud.imds.imds import NODE_ROLE, Imds

__all__ = ["NODE_ROLE", "Imds"]
