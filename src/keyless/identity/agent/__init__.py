"""The pod identity agent."""
