"""What may be wrong with items and labels, as functions of arrays: copies, outliers, balance, suspected labels."""

from alearn.core.health.balance import Balance, balance
from alearn.core.health.copies import families, near_pairs, strict
from alearn.core.health.outliers import neighbour_distance, outlyingness
from alearn.core.health.suspects import suspects

__all__ = ["Balance", "balance", "families", "near_pairs", "neighbour_distance", "outlyingness", "strict", "suspects"]
