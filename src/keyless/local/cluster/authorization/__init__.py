"""Role-based access control: who may do what, decided from the cluster's own RBAC objects.

Spec: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from keyless.local.cluster.authorization.attributes import Asked
from keyless.local.cluster.authorization.authorizer import Authorizer, Decision

__all__ = ["Asked", "Authorizer", "Decision"]
