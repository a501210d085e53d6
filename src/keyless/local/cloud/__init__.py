"""The AWS side of a local Space: one account in one region, on one port, that decides as AWS decides.

    cloud = Cloud(CloudSettings(database=…, kubernetes=…, server_url=…, ca_pem=…, migrate=state.migrate))
    async with serve(cloud.app, port): …            # the gateway; cloud.imds_app is the instance metadata endpoint
    cloud.admin_credentials()                       # the guide's reader

A call passes through (``gateway.py``): Host and size → which service (credential scope, ``X-Amz-Target``, form, path)
→ signature (``signatures``, ``authenticate.py``) → operation and parameters (``wire``, by botocore's models) →
permission (``authorise.py``, decided by ``keyless.policy``) → the operation → an audit line (``audit.py``), whatever
happened.

**Adding a service** (one folder, one line in ``Cloud._services``):

1. A class with its collaborators in ``__init__`` and ``service() -> Service``. Tables of its own:
   ``database.migrate("cloud_s3", ("CREATE TABLE …",))`` (forward steps, one string each; part names are letters, digits
   and underscores). Small things may live in ``database.put/get/all/remove(kind, key, …)``.
2. ``Service(name, operations=(…))``: ``name`` is botocore's folder; ``prefix`` the IAM prefix when it differs;
   ``signing_names`` what signatures carry when it differs; ``target_prefix`` for JSON protocols (``secretsmanager``,
   ``AmazonSSM``, ``TrentService``); ``body_limit_bytes`` (S3 needs more than 1 MiB); ``invalid`` makes the error for
   parameters of the wrong shape, ``denied`` (optional) the one for refusals.
3. ``Operation(name, run, target)``: ``run(call) -> mapping | HttpResponse | None`` uses boto3's names and types in
   ``call.params`` and in its answer (times: aware datetimes or epoch seconds). A plain function runs inside one SQLite
   transaction and must not await; an ``async def`` opens ``with database.transaction()`` where it writes and never
   awaits inside. ``target(call) -> Target | [Target, …]`` says what is touched: resource ARN, ``action`` when it is not
   ``prefix:Name`` (``s3:ListBucket``), condition keys (``s3:prefix``, ``authorise.tag_keys``, ``resource_tag_keys``),
   the resource's policy (``ResourcePolicy(text)``), its owner's ``account``, AWS's ``label`` for it. All must be
   allowed. Where that is known only inside: ``INSIDE`` and ``call.authorise(target)`` / ``call.allows(target)`` (also
   for a second question, such as ``kms:Decrypt`` on behalf of the caller). ``OPEN``: nobody is asked.
   ``unsigned=True``: let in without a signature, as Anonymous, and still decided.
4. ``raise AwsError(code, message, status=…, fields={…})`` for refusals; the status may be left to the model. Never a
   secret value in a message. ``call.notes[…]`` adds facts to the audit line; never secrets there either.
5. Long bodies: answer ``{"Body": bytes}`` or ``HttpResponse(…, body=async iterator)``; S3's ``aws-chunked`` uploads
   arrive decoded, their trailers as headers (``call.request.header("x-amz-checksum-crc32")``): check them there.
6. An operation that AWS has and the table has not is answered as AWS answers an unknown one: nothing to do.

Tests talk to ``cloud.app`` with botocore through ``tests/unit/local/cloud/support.py`` (no socket).

What differs from AWS is listed in ``docs/reference/aws-differences.md``.
"""

from keyless.local.cloud.audit import Line, last_number, read_audit
from keyless.local.cloud.cloud import Cloud, CloudSettings
from keyless.local.cloud.serve import Serving, serve

__all__ = ["Cloud", "CloudSettings", "Line", "Serving", "last_number", "read_audit", "serve"]
