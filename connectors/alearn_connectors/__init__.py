"""Connectors that come with alearn, each behind the door of `alearn.platform`."""
