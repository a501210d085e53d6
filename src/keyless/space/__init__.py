"""The Space: Helm values to components, control planes, operator."""
