"""The table of slides, patients and outcomes, and what is checked of it."""
