"""Survival of patients: arms that predict it, a protocol that measures them, and the page."""
