"""The issuer's public side, for a cluster whose API server AWS cannot reach: discovery document and keys, and no more.

IRSA needs both where AWS can fetch them without credentials. Here they are passed on as the API server signs them, from
pods that hold no key: what is public already is all that they can give away.
"""
