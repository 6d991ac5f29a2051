"""``past-train slide`` and its commands."""
