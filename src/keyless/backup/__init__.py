"""Backups of a control plane's etcd: snapshots into a bucket by a workload identity of their own, and back again.

``model.py`` what lies in the bucket, ``plan.py`` when a snapshot is due, which ones go and which one is taken back,
``etcd.py`` where it comes from, ``bucket.py`` where it goes, ``service.py`` the loop. For control planes of mode
``kubernetes``. See ``docs/reference/backups.md``.
"""
