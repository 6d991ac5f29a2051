"""Classes of a user's classifier in the cells of an analysis and in their table."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

from napari_past.errors import ModelError
from napari_past.model.classifier import About, CellClassifier, LabelledSlide, fit_classifier


def classifier_of(cells, sha256: str) -> CellClassifier:
    """Tells the upper half of the slide from the lower one, by what vectors know of it."""
    codes = (cells.centers_um[:, 1] > np.median(cells.centers_um[:, 1])).astype(int)
    slide = LabelledSlide(name="phantom", fingerprint=cells.plan.key.fingerprint, cells={"low": 1})
    about = About("halves", cells.model.name, sha256, (slide,), ("table",))
    return fit_classifier(cells.embeddings, codes, ("low", "high"), about=about)


def test_a_table_carries_classes_probabilities_and_the_card(undisturbed):
    cells = undisturbed()
    assert cells.classified is None
    assert "cell_class" not in cells.to_anndata([]).obs
    cells.classifier = classifier_of(cells, cells.model.sha256)
    table = cells.to_anndata([])
    probabilities = cells.classifier.probabilities(cells.embeddings)
    npt.assert_array_equal(table.obs["cell_class"].cat.codes, probabilities.argmax(axis=1))
    assert list(table.obs["cell_class"].cat.categories) == ["low", "high"]
    npt.assert_array_equal(table.obs["cell_class_probability"], probabilities.max(axis=1))
    card = table.uns["napari_past"]["classifier"]
    assert (card["name"], card["evidence"]) == ("halves", "not validated")
    assert card["sha256"] == cells.classifier.sha256


def test_vectors_of_another_model_are_refused(undisturbed):
    cells = undisturbed()
    cells.classifier = classifier_of(cells, "ef" * 32)
    with pytest.raises(ModelError, match="label cells again with this model"):
        cells.to_anndata([])
