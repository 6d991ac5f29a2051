"""From cells to patients: cohorts of slides, models of whole slides, and how far they hold."""
