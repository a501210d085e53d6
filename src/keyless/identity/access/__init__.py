"""Who reaches a resource, backwards: roles and users, subjects that become them, and who can act as those subjects.

asked = asked_about(parsed("arn:aws:s3:::usage"), ())                  # Unasked where that is nothing to ask about
answer = report(await gather(kube, session, cluster, resource, asked))  # reads only; report is pure
render_text(answer), render_json(answer), in_use(answer.static), is_complete(answer)
"""

from keyless.identity.access.asking import Unasked, asked_about, parsed
from keyless.identity.access.gather import gather
from keyless.identity.access.model import Evidence, Report, Verdict
from keyless.identity.access.plan import in_use, report
from keyless.identity.access.render import is_complete, render_json, render_text

__all__ = [
    "Evidence",
    "Report",
    "Unasked",
    "Verdict",
    "asked_about",
    "gather",
    "in_use",
    "is_complete",
    "parsed",
    "render_json",
    "render_text",
    "report",
]
