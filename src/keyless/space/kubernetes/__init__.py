"""A control plane's own API server on a real Kubernetes: kube-apiserver and etcd in the host namespace.

``keys.py`` what is made once and never again, ``certificates.py`` what is made of it and renewed, ``workload.py`` the
objects that run it, ``serving.py`` how it stands. Mode ``kubernetes`` of ``controlPlanes.api.mode``.
"""
