"""STS: who is asking, and temporary credentials for roles."""

from keyless.local.cloud.sts.issuers import IssuerKeys
from keyless.local.cloud.sts.minting import Minter, RoleSession
from keyless.local.cloud.sts.sts import Sts

__all__ = ["IssuerKeys", "Minter", "RoleSession", "Sts"]
