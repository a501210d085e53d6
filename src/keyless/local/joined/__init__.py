"""The cloud, and where there are no nodes a node, beside an API server that somebody else runs: ``up --cluster``.

What it makes there is in ``rights.py``; nothing of the Space itself is installed: the chart is, as on any cluster.
"""
