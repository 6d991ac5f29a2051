"""``python -m napari_past.cli``, where the command is not on the path."""

import sys

from napari_past.cli import main

sys.exit(main())
