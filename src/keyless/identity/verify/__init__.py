"""Walk the chain on live facts and name the broken link.

facts = await gather(Sources(kube, session, "my-cluster"), subject, Chosen(), needs)   # reads only
chains = [Chain(one, verify(one)) for one in facts]                                        # verify is pure
render_text(chains), render_json(chains), all(chain.held for chain in chains)
"""

from keyless.identity.verify.gather import AccessOf, BoundsOf, Chosen, Needs, Sources, gather
from keyless.identity.verify.kube_facts import Release, condition_from, pod_of
from keyless.identity.verify.model import Bounds, Cluster, Condition, ControlPlane, Facts, Link, Space, State, Subject
from keyless.identity.verify.plan import held, verify
from keyless.identity.verify.render import Chain, render_json, render_text
from keyless.identity.verify.speaking import is_current

__all__ = [
    "AccessOf",
    "Bounds",
    "BoundsOf",
    "Chain",
    "Chosen",
    "Cluster",
    "Condition",
    "ControlPlane",
    "Facts",
    "Link",
    "Needs",
    "Release",
    "Sources",
    "Space",
    "State",
    "Subject",
    "condition_from",
    "gather",
    "held",
    "is_current",
    "pod_of",
    "render_json",
    "render_text",
    "verify",
]
