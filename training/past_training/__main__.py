"""``python -m past_training``: the commands of past-train, as torchrun starts them."""

from __future__ import annotations

import sys

from past_training.cli import main

if __name__ == "__main__":
    sys.exit(main())
