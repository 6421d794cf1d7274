"""`alearn serve`: one process that people and platforms call, and one controller process for each loop.

Invariant: what answers never computes; what computes is never waited for. All state is in the stores.
"""

from alearn.server.serving import serve

__all__ = ["serve"]
