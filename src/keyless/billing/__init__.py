"""Usage of each control plane, stored in S3."""
