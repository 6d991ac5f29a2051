"""Training and evaluation of napari-past models. Needs the extra ``napari-past[training]``."""
