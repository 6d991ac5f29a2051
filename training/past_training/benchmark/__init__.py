"""Public benchmarks of image towers, by their own rules."""
