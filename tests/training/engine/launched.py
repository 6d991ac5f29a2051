# ruff: noqa: F821
"""Run by test_resume in a process of its own: the launch line on one thread, as torchrun starts it.

Given: `arguments`, `environment` (of torchrun).
"""

import os

import torch

from past_training.engine.launch import main

os.environ.update(environment)
torch.set_num_threads(1)
raise SystemExit(main(arguments))
