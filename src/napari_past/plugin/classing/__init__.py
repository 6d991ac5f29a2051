"""Cell classes by a few clicks: labels of cells and areas, and the classifier fitted on them."""
