"""Which files may be written, told before any work."""

from __future__ import annotations

import pytest

from napari_past.errors import CannotWrite, PastError
from past_training.evaluation.output_files import check_free, report_files


def test_where_a_report_can_be_written(tmp_path):
    files = tmp_path / "r.md", tmp_path / "r.html"
    assert report_files(tmp_path / "r.md") == report_files(tmp_path / "r.html") == files
    with pytest.raises(PastError, match=r"give r\.md"):
        report_files(tmp_path / "r.pdf")
    with pytest.raises(CannotWrite, match="does not exist"):
        report_files(tmp_path / "no" / "r.md")


def test_a_file_that_is_there_is_overwritten_only_when_asked(tmp_path):
    there, free = tmp_path / "a.md", tmp_path / "b.md"
    there.write_text("years")
    check_free([free], [], force=False)
    with pytest.raises(CannotWrite, match=r"a\.md exists already; .* or --force to overwrite it"):
        check_free([free, there], [], force=False)
    check_free([free, there], [], force=True)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("through", ["itself", "another spelling", "a link", "a folder"])
def test_what_is_read_is_never_overwritten(tmp_path, through, force):
    model = tmp_path / "models" / "m.safetensors"
    model.parent.mkdir()
    model.write_text("weights")
    link = tmp_path / "link.safetensors"
    link.symlink_to(model)
    out, source = {
        "itself": (model, model),
        "another spelling": (tmp_path / "models" / ".." / "models" / "m.safetensors", model),
        "a link": (link, model),
        "a folder": (model, model.parent),
    }[through]
    with pytest.raises(CannotWrite, match="is read by this command; give another --out"):
        check_free([out], ["past-mini", source], force)


def test_a_new_file_beside_what_is_read(tmp_path):
    (tmp_path / "data.past").mkdir()
    check_free([tmp_path / "m.md"], [tmp_path / "data.past", "s3://bucket/x.past"], force=False)
