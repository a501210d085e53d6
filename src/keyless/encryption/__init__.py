"""``keyless run kms-plugin``: Secrets of a control plane encrypted with an AWS KMS key, by workload identity.

It stands beside kube-apiserver and speaks Kubernetes' KMS v2 plugin API on a Unix socket. ``messages.py`` that API's
bytes, ``plan.py`` what is answered (pure), ``kms.py`` what is asked of AWS, ``plugin.py`` the sockets, ``service.py``
the loop, ``host.py`` the condition. See ``docs/reference/control-planes.md``.
"""
