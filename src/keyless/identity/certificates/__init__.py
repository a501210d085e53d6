"""The webhook's own certificate: made, shared by replicas, told to the API server, renewed."""

from keyless.identity.certificates.keeper import Keeper, Place

__all__ = ["Keeper", "Place"]
