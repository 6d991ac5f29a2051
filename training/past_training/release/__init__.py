"""From paired data to a model file: tower, read-out, statistics, evidence, card."""
