"""Cells or tiles of patients, streamed from where they lie; a cohort made ready."""
