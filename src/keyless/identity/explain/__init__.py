"""Whether a service account may do something, and why: the chain of its role and the policies that bear on it.

question = Question("mxp-1-system", "vector", "s3:PutObject", "arn:aws:s3:::usage/key")
answer = explain(await gather(Sources(kube, session, "my-cluster"), question, now))  # reads only; explain is pure
render_text(answer), render_json(answer), answer.verdict                            # Allowed, Denied or Unknown
"""

from keyless.identity.explain.gather import gather
from keyless.identity.explain.model import Answer, Evidence, Question, Verdict
from keyless.identity.explain.plan import explain
from keyless.identity.explain.render import render_json, render_text

__all__ = ["Answer", "Evidence", "Question", "Verdict", "explain", "gather", "render_json", "render_text"]
