"""Runs pods as processes."""
