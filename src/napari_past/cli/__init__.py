"""The command line: `napari-past`.

Exit codes: 0 done; 1 finished with failures or unreadable tiles, which are listed; 2 a mistake of
the user's, told in one line; 130 cancelled.
"""

from napari_past.cli.main import main

__all__ = ["main"]
