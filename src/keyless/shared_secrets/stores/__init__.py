"""Secrets Manager and Parameter Store behind one small port, and whose credentials open them."""
