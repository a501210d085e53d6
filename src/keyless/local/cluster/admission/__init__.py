"""Admission: what is done to, and asked about, an object before it is stored.

Order: the namespace must live · service accounts of pods · mutating webhooks · (validation by the caller) ·
Pod Security · validating webhooks. Spec: https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""

from keyless.local.cluster.admission.admission import Admission
from keyless.local.cluster.admission.attributes import Attributes, Operation

__all__ = ["Admission", "Attributes", "Operation"]
