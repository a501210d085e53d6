"""Walk the chain on live facts and name the broken link.

facts = await gather(Sources(kube, session), subject, place, access=…)     # reads only
links = verify(facts)                                                      # pure
render_text(…), render_json(…), held(links)
"""

from keyless.identity.verify.model import Facts, Link, State, Subject
from keyless.identity.verify.plan import held, verify

__all__ = ["Facts", "Link", "State", "Subject", "held", "verify"]
