"""CloudFormation, as far as the stacks that ``eksctl`` makes and their neighbours need it.

Read a template (``documents``, ``template``, ``intrinsics``, ``parameters``) → aim (``target``) → the next step
(``plan``) → calls as the caller (``kinds``, ``flows``) → the record and its events (``progress``, ``engine``).
"""

from keyless.local.cloud.cloudformation.service import CloudFormation

__all__ = ["CloudFormation"]
