"""Items: where they come from, and how they are read."""

from alearn.data.decode import check_image, read_image
from alearn.data.items import Item, Unreadable
from alearn.data.sources import count_hint, read_items
from alearn.data.storage import read_bytes

__all__ = ["Item", "Unreadable", "check_image", "count_hint", "read_bytes", "read_image", "read_items"]
