"""Volumes of a pod: their content (``payload``), how it is written (``writer``), renewed tokens (``tokens``)."""
