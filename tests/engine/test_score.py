"""Scores of annotated cells: which are told follows from what was asked for."""

from napari_past.engine import h_score

CUTOFFS = (-0.5, 0.0, 0.5)


def test_a_marker_has_what_it_customarily_has_and_a_gene_the_rest(undisturbed):
    cells = undisturbed()
    marker, gene = (h_score(cells, name, cutoffs=CUTOFFS) for name in ("CD3", "CD3D"))
    assert (marker.score_name, gene.score_name) == ("% positive", "pseudo-H-score")
    assert marker.rules.scores == ("percent", "density")
    assert marker.rules.marker == "CD3"
    assert marker.rows[0].n == gene.rows[0].n == len(cells)


def test_her2_keeps_its_pseudo_h_score_and_tells_what_needs_a_real_stain(undisturbed):
    cells = undisturbed()
    marker, gene = (h_score(cells, name, cutoffs=CUTOFFS) for name in ("HER2", "ERBB2"))
    assert marker.rows[0].h_score == gene.rows[0].h_score
    assert marker.score_name == gene.score_name == "pseudo-H-score"
    assert marker.rules.real_stain_only == ("0/1+/2+/3+",)
    assert gene.rules.real_stain_only == ()
