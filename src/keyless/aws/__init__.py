"""AWS as our components see it: sessions with cached credentials, calls in a bounded pool, one table of failures.

    session = Session.from_environment(os.environ)            # the pod's own identity
    answer = await session.call("s3", "PutObject", Bucket=…, Key=…, Body=…)
    caller = await caller_identity(session)                   # .arn is the session's ARN

Every failure is an ``AwsTransient`` or ``AwsPermanent`` with ``.code .message .request_id .operation``.
"""

from keyless.aws.callers import Caller, caller_identity
from keyless.aws.errors import AWS_FAILURES, AwsError, AwsPermanent, AwsTransient, failure
from keyless.aws.roles import RoleRequest, assumed, by_web_identity, chained
from keyless.aws.sessions import Keys, Session, call, in_pool, keys_of, refreshing

__all__ = [
    "AWS_FAILURES",
    "AwsError",
    "AwsPermanent",
    "AwsTransient",
    "Caller",
    "Keys",
    "RoleRequest",
    "Session",
    "assumed",
    "by_web_identity",
    "call",
    "caller_identity",
    "chained",
    "failure",
    "in_pool",
    "keys_of",
    "refreshing",
]
