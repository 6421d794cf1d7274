"""Training what is behind a tap: last blocks from stored activations, or a whole network, when it pays.

Imports torch when it is imported.
"""
