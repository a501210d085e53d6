"""The level-based controller runtime: requests, list and watch, informer, keyed queue."""
