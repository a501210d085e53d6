"""How people and pods of the host enter a control plane's own API: as themselves, for an hour.

They ask by a CertificateSigningRequest of the host, in which the host's API server writes who asks. ``names.py`` who
that is inside, ``reading.py`` what is asked for, ``plan.py`` whether it is signed, ``service.py`` the loop that signs,
``asking.py`` the other side.
"""
