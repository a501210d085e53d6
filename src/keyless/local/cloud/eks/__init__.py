"""EKS: the cluster as AWS describes it, addons, associations, access entries, and what Kubernetes sees of them."""

from keyless.local.cloud.eks.associations import Associations
from keyless.local.cloud.eks.cluster import ClusterFacts
from keyless.local.cloud.eks.eks import Eks
from keyless.local.cloud.eks.kubernetes import Kubernetes
from keyless.local.cloud.eks.projection import Projection
from keyless.local.cloud.eks.token_review import TokenReviews

__all__ = ["Associations", "ClusterFacts", "Eks", "Kubernetes", "Projection", "TokenReviews"]
