"""What a network of slides looked at, as heat maps of the slides."""

from past_training.slide_level.maps.write import write_maps

__all__ = ["write_maps"]
