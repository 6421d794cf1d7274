"""What a loop remembers: rows in a database and content-addressed files; the only owner of SQLModel."""

from alearn.store.blobs import Blobs
from alearn.store.lease import Lease
from alearn.store.look import Look
from alearn.store.store import Store

__all__ = ["Blobs", "Lease", "Look", "Store"]
