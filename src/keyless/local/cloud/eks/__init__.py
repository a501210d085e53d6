"""EKS: the cluster as AWS describes it, addons, pod identity associations, and what Kubernetes sees of them."""

from keyless.local.cloud.eks.associations import Associations
from keyless.local.cloud.eks.cluster import ClusterFacts
from keyless.local.cloud.eks.eks import Eks
from keyless.local.cloud.eks.kubernetes import Kubernetes
from keyless.local.cloud.eks.projection import Projection

__all__ = ["Associations", "ClusterFacts", "Eks", "Kubernetes", "Projection"]
