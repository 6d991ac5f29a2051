"""Measuring a model on tissue it was not trained on, beside the baselines that keep it honest."""
