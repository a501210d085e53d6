"""Shared resources of a group to a control plane."""
