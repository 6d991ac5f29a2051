"""Measured tissue in the viewer: opened, placed, and laid beside what is predicted."""
