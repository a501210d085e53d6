"""The issuer of a cluster that is not EKS: discovery and keys where AWS can fetch them, and rotations that lose nobody.

made = plan(cluster, place, published, now)                      # pure; made.refused where it cannot be published there
await publish(made, aws)                                        # keys first, then discovery, then what was noted
"""

from keyless.identity.publishing.model import Documents, Place, Published, Record, Seen
from keyless.identity.publishing.plan import Finding, Plan, plan
from keyless.identity.publishing.service import publish, read_cluster, read_published, unreachable

__all__ = [
    "Documents",
    "Finding",
    "Place",
    "Plan",
    "Published",
    "Record",
    "Seen",
    "plan",
    "publish",
    "read_cluster",
    "read_published",
    "unreachable",
]
