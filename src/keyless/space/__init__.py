"""The Space: turns the chart's values and ControlPlane objects into components that run.

``keyless run operator`` is ``service.run``. ``values.py`` reads what Helm left, ``components.py`` says which objects a
control plane needs, ``control_planes/`` brings each control plane there and, at its end, away again. Nothing in here
speaks to AWS.
"""

from keyless.space.settings import Settings

__all__ = ["Settings"]
