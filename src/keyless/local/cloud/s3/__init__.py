"""Amazon S3, as far as the guides, the components, everyday ``aws s3``, terraform and data tools go.

What is not there, and what is there otherwise, is listed in ``docs/reference/aws-differences.md``. The table of the
operations is in :mod:`operations`; what each touches, for authorisation, in :mod:`targets`.
"""

from keyless.local.cloud.s3.operations import S3

__all__ = ["S3"]
