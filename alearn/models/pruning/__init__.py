"""Thinner networks of the same use: fewer stages, fewer channels, retrained, and kept only where the metric holds."""
