"""Secrets Manager and SSM Parameter Store behind one port."""
