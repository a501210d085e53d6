"""The secrets of all control planes at a glance, and a refresh of one of them everywhere."""
