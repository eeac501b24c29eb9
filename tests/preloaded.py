"""Imported once by the server that `tests.cli` forks commands from: all that is slow to import."""

import gc
import os

import accelerate  # noqa: F401
import hydra  # noqa: F401
import optuna  # noqa: F401
import pandas  # noqa: F401
import peft  # noqa: F401
import rouge_score.rouge_scorer  # noqa: F401
import scipy.stats  # noqa: F401
import torch  # noqa: F401
import transformers.models.auto  # noqa: F401
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast, Trainer  # noqa: F401

import selfguide.analysis.autopsy
import selfguide.analysis.charts
import selfguide.cli
import selfguide.methods
import selfguide.models.hf
import selfguide.pipeline
import selfguide.training.trainer  # noqa: F401

# As tests/conftest.py says.
os.fsync = lambda descriptor: None
gc.collect()
gc.freeze()
