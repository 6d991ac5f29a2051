"""Bulk expression and classes of patients that were held out, beside baselines on mean vectors."""
