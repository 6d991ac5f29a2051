"""Paired datasets: made from measured sections on disk, read as batches."""
