"""The panel of markers: what pathologists order, and what users add to it."""

import pytest

from napari_past.errors import BadTable
from napari_past.genes import marker_asked, markers, resolve

SHIPPED = markers()
ORDERED = {
    "ER": ("nucleus", "ESR1", "percent allred pseudo-h-score"),
    "PR": ("nucleus", "PGR", "percent allred pseudo-h-score"),
    "HER2": ("membrane", "ERBB2", "percent pseudo-h-score"),
    "Ki67": ("nucleus", "MKI67", "percent hot-spot"),
    "PD-L1": ("membrane", "CD274", "percent"),
    "CD3": ("membrane", "CD3D CD3E CD3G", "percent density"),
    "CD4": ("membrane", "CD4", "percent density"),
    "CD8": ("membrane", "CD8A CD8B", "percent density"),
    "CD20": ("membrane", "MS4A1", "percent density"),
    "CD68": ("cytoplasm", "CD68", "percent density"),
    "panCK": ("cytoplasm", "KRT5 KRT7 KRT8 KRT18 KRT19", "percent"),
    "SMA": ("cytoplasm", "ACTA2", "percent"),
    "vimentin": ("cytoplasm", "VIM", "percent"),
    "E-cadherin": ("membrane", "CDH1", "percent"),
    "AR": ("nucleus", "AR", "percent pseudo-h-score"),
    "PSA": ("cytoplasm", "KLK3", "percent"),
    "TTF-1": ("nucleus", "NKX2-1", "percent"),
    "CDX2": ("nucleus", "CDX2", "percent"),
    "S100": ("nucleus and cytoplasm", "S100B S100A1", "percent"),
    "SOX10": ("nucleus", "SOX10", "percent"),
    "synaptophysin": ("cytoplasm", "SYP", "percent"),
    "p53": ("nucleus", "TP53", ""),
    "p40": ("nucleus", "TP63", ""),
    "MLH1": ("nucleus", "MLH1", ""),
    "PMS2": ("nucleus", "PMS2", ""),
    "MSH2": ("nucleus", "MSH2", ""),
    "MSH6": ("nucleus", "MSH6", ""),
}
WHOLE = {
    "name": '"H3K27me3"',
    "genes": '["EZH2"]',
    "compartment": '"nucleus"',
    "score": '"present or lost"',
    "predicted": '["percent"]',
}


def written(path, *tables):
    """A file of markers; each table is `WHOLE` with some of its fields changed, or left out."""
    text = ""
    for changed in tables:
        fields = {k: v for k, v in {**WHOLE, **changed}.items() if v is not None}
        text += "[[marker]]\n" + "".join(f"{k} = {v}\n" for k, v in fields.items())
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def panel_of(tmp_path, monkeypatch):
    """``panel_of({…}, …)``: the panel with these tables in a file of the user's."""

    def read(*tables):
        monkeypatch.setenv("NAPARI_PAST_MARKERS", str(written(tmp_path / "own.toml", *tables)))
        return markers()

    return read


@pytest.mark.parametrize("name", ORDERED)
def test_the_markers_that_pathology_orders(name):
    compartment, genes, predicted = ORDERED[name]
    marker = marker_asked(name)
    assert marker is not None
    assert (marker.compartment, marker.genes) == (compartment, tuple(genes.split()))
    assert marker.predicted == tuple(predicted.split())
    assert marker.scorable == bool(predicted)
    assert marker.score, "how it is customarily reported"


def test_least_counts_and_real_stain_are_told():
    ki67, pd_l1, her2 = (marker_asked(name) for name in ("Ki-67", "PD-L1", "HER2"))
    assert (ki67.least_cells, ki67.least_of) == (500, "tumour nuclei")
    assert (pd_l1.least_cells, pd_l1.least_of) == (100, "viable tumour cells")
    assert pd_l1.real_stain_only == ("TPS", "CPS")
    assert her2.real_stain_only == ("0/1+/2+/3+",)
    assert "allred" not in her2.predicted


def test_only_what_customarily_has_one_has_an_h_score():
    for marker in SHIPPED:
        assert ("pseudo-h-score" in marker.predicted) == ("H-score" in marker.score), marker.name
        assert marker.compartments, marker.name


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ("Ki67", "Ki-67"),
        ("MKI67", None),
        ("EPCAM", None),
        ("EpCAM", "EpCAM"),
        ("epcam", "EpCAM"),
        ("CD4", "CD4"),
        ("FASN", None),
    ],
)
def test_who_types_a_symbol_to_the_letter_asks_for_the_gene(typed, asked):
    marker = marker_asked(typed)
    assert (None if marker is None else marker.name) == asked


def test_a_marker_is_added(panel_of):
    panel = panel_of({"aliases": '["K27"]'})
    assert panel[:-1] == SHIPPED
    assert panel[-1].name == "H3K27me3"
    assert resolve("k27").symbols == ("EZH2",)


def test_a_marker_of_the_same_name_replaces_ours_in_its_place(panel_of):
    panel = panel_of({"name": '"ki 67"', "genes": '["MKI67", "TOP2A"]'})
    assert len(panel) == len(SHIPPED)
    assert [m.name for m in SHIPPED].index("Ki-67") == [m.name for m in panel].index("ki 67")
    assert resolve("Ki-67").symbols == ("MKI67", "TOP2A")


def test_a_spelling_of_the_users_is_taken_from_ours(panel_of):
    panel_of({"name": '"CK"', "genes": '["KRT8"]'})
    assert resolve("CK").symbols == ("KRT8",)
    assert len(resolve("panCK").symbols) == 5


def test_the_users_data_folder_is_looked_into(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(tmp_path))
    assert markers() == SHIPPED
    home = tmp_path / "with a file"
    home.mkdir()
    written(home / "markers.toml", {})
    monkeypatch.setenv("NAPARI_PAST_DATA_HOME", str(home))
    assert markers()[-1].name == "H3K27me3"


def test_a_file_without_markers_adds_none(panel_of):
    assert panel_of() == SHIPPED


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": None}, r"Marker number 1 in own.toml has no field name"),
        ({"name": '" "'}, r"Marker number 1 in own.toml has ' ' in its field name"),
        ({"genes": None}, r"'H3K27me3' in own.toml has no field genes; add it"),
        ({"genes": "[]"}, r"field genes; give at least one HGNC symbol"),
        ({"genes": '"EZH2"'}, r"has 'EZH2' in its field genes; give a list of texts"),
        ({"genes": '["EZH22"]'}, r"'EZH22' in its field genes, .* did you mean EZH2\?"),
        ({"compartment": '"nuclear"'}, r"'nuclear' in its field compartment; give nucleus, "),
        ({"compartment": "3"}, r"has 3 in its field compartment; give a text in quotes"),
        ({"predicted": '["h-score"]'}, r"'h-score' in its field predicted; choose among percent"),
        ({"predicted": "[]"}, r"field predicted; give at least one score"),
        ({"predicted": '["none", "percent"]', "note": '"x"'}, r'predicted; .* or "none" alone'),
        ({"predicted": '["none"]'}, r"no field note; say in it why"),
        ({"real_stain_only": '["IPS"]'}, r"'IPS' in its field real_stain_only; choose among"),
        ({"least_cells": "-1", "least_of": '"x"'}, r"has -1 in its field least_cells; give a who"),
        ({"least_cells": "true"}, r"has True in its field least_cells"),
        ({"least_cells": "9"}, r"has least_cells but no field least_of"),
        ({"treatment": '"yes"'}, r"has a field 'treatment', which is not known; the fields are n"),
        ({"aliases": '["HER2"]'}, r"'HER2' in its field aliases is the name of a marker; name"),
    ],
)
def test_each_mistake_names_the_marker_and_the_field(panel_of, changed, message):
    with pytest.raises(BadTable, match=message) as caught:
        panel_of(changed)
    assert "\n" not in str(caught.value)


def test_two_markers_of_the_users_do_not_share_a_spelling(panel_of):
    with pytest.raises(BadTable, match=r"'B' in own.toml: 'a' in its field aliases .* marker 'A'"):
        panel_of({"name": '"A"'}, {"name": '"B"', "aliases": '["a"]'})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[marker]\n", r"own.toml is no TOML: .*line 1"),
        ("[marker]\nname = 'x'\n", r"begin each marker with \[\[marker\]\]"),
        ("[[markers]]\nname = 'x'\n", r"has 'markers' beside its markers"),
    ],
)
def test_what_is_no_table_of_markers(tmp_path, monkeypatch, text, message):
    (tmp_path / "own.toml").write_text(text)
    monkeypatch.setenv("NAPARI_PAST_MARKERS", str(tmp_path / "own.toml"))
    with pytest.raises(BadTable, match=message):
        resolve("ERBB2")


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_PAST_MARKERS", str(tmp_path / "none.toml"))
    with pytest.raises(BadTable, match=r"NAPARI_PAST_MARKERS names .*none.toml, but there is no"):
        markers()
    (tmp_path / "latin.toml").write_bytes("# Müller".encode("latin-1"))
    monkeypatch.setenv("NAPARI_PAST_MARKERS", str(tmp_path / "latin.toml"))
    with pytest.raises(BadTable, match="give a TOML file in UTF-8"):
        markers()
