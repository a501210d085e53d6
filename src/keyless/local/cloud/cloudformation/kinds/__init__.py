"""The resource types that stacks may hold, by name; every other type is refused before anything is made."""

from keyless.local.cloud.cloudformation.kinds.eks import PodIdentityAssociation
from keyless.local.cloud.cloudformation.kinds.iam_identities import IamRole
from keyless.local.cloud.cloudformation.kinds.iam_policies import IamManagedPolicy, IamPolicy
from keyless.local.cloud.cloudformation.kinds.iam_providers import IamOidcProvider
from keyless.local.cloud.cloudformation.kinds.kind import Draft, Flow, Kind, Made, Request, violations
from keyless.local.cloud.cloudformation.kinds.s3 import S3Bucket

KINDS: dict[str, Kind] = {
    kind.type: kind
    for kind in (IamRole(), IamPolicy(), IamManagedPolicy(), IamOidcProvider(), PodIdentityAssociation(), S3Bucket())
}

__all__ = ["KINDS", "Draft", "Flow", "Kind", "Made", "Request", "violations"]
