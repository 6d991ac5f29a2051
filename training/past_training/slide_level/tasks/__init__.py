"""Bulk expression, classes and alignment of patients held out, beside baselines on mean vectors."""
