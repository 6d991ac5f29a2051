"""Predicted against measured expression: anybody's model on anybody's tissue, one protocol."""
