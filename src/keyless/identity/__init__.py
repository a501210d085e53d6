"""Workload identity: injection, agent, verify, explain."""
