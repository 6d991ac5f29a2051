"""The room that knows napari and Qt: reader, sample data, the dock widget."""
