"""Predicted held against measured tissue in the viewer, and the badge that rests on it."""
