"""What is compared, and how much is read, unless told otherwise. Imports nothing."""

BASELINES = ("mean", "colour", "random", "tower")
"""The training mean; ridge on colour statistics; on a tower like the model's with random weights;
on the model's own tower."""
FOUNDATION = "foundation:"
"""``foundation:NAME``: ridge on a timm or hub tower with its published weights."""
ROWS_LIMIT = 5000
"""Rows of a section that are looked at: r is known to about 0.01 then."""
