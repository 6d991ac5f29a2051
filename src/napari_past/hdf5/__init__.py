"""HDF5 files of others: looked through by another process before this one opens them."""

from napari_past.hdf5.probe import check_hdf5, open_hdf5, written_here

__all__ = ["check_hdf5", "open_hdf5", "written_here"]
