"""Control planes: from a ControlPlane object to a Kubernetes API of its own with the Space's components beside it.

``model.py`` the facts and steps, ``api.py`` who serves the API (logical or attached), ``tenant.py`` what lies inside,
``plan.py`` with ``inside.py``, ``workloads.py``, ``findings.py`` and ``leaving.py`` the decisions, all pure;
``gathering.py`` and ``applying.py`` the hands, ``tenants.py`` the connections, ``controller.py`` the loop.
"""
