"""Service account JWTs and JWKS: issue, verify, rotate. Pure."""
