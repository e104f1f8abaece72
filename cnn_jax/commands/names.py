"""The commands by name. Each is imported only where it is carried out."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple


class Command(NamedTuple):
    """A command.

    Attributes:
      place: where its dataclass is, as `module:Class`.
      does: what it does, in a line.
    """

    place: str
    does: str

    def load(self) -> Any:
        """Its dataclass."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(f"cnn_jax.commands.{module}"), name)


DATA = {
    "list": Command("data:DataList", "list the data sets that can be used by name"),
    "fetch": Command("data:DataFetch", "download and prepare a data set"),
    "info": Command("data:DataInfo", "print counts, shapes, classes and statistics of a set"),
    "show": Command("data:DataShow", "draw examples of a set, with random changes beside them"),
    "bench": Command("data_bench:DataBench", "measure how fast a set can be read"),
}
SHOW = {
    "walk": Command("show:ShowWalk", "what each layer makes of one image, step by step"),
    "attention": Command("show_attention:ShowAttention", "which places a prediction depends on"),
    "filters": Command("show:ShowFilters", "the kernels of a convolution"),
    "features": Command("show:ShowFeatures", "the feature maps of a layer for one image"),
    "told": Command("show_results:ShowTold", "true boxes or masks, and the predicted ones"),
    "mistakes": Command("show_results:ShowMistakes", "the worst mistakes of a run"),
    "confusion": Command(
        "show_results:ShowConfusion", "the confusion matrix: which class is taken for which"
    ),
    "reliability": Command(
        "show_results:ShowReliability", "how often predictions are right at each confidence"
    ),
    "curves": Command("show_results:ShowCurves", "the learning curves of runs"),
    "gradients": Command(
        "show_training:ShowGradients", "sizes of gradients: do they vanish or explode?"
    ),
    "line": Command("show_training:ShowLine", "the loss between two checkpoints"),
    "patches": Command("show_learnt:ShowPatches", "what activates the maps of a layer most"),
    "embedding": Command("show_learnt:ShowEmbedding", "a map of examples by their features"),
}
TEMPLATES = {
    "slurm": Command("template:Slurm", "print a Slurm batch script for an experiment"),
    "jobset": Command("template:JobSet", "print a Kubernetes JobSet for an experiment"),
}
COMMANDS: Mapping[str, Command | Mapping[str, Command]] = {
    "train": Command("train:Launch", "train an experiment, or a task on your own data"),
    "new": Command("new:NewExperiment", "write the file of a new experiment"),
    "evaluate": Command("runs:Evaluate", "evaluate the model of a run on a part of the data"),
    "metrics": Command("metrics:Metrics", "compute metrics from stored predictions"),
    "predict": Command("runs:Predict", "predict your own images, sounds, videos, series or texts"),
    "show": SHOW,
    "serve": Command("serve:Serve", "show a run in the browser, and try your own inputs there"),
    "runs": Command("run_list:Runs", "list runs and their results"),
    "compare": Command("compare:Compare", "compare runs over seeds, and test the differences"),
    "report": Command("report:Report", "write a report of a run, or of several, as one HTML file"),
    "sweep": Command("sweep:Sweep", "try many values of some fields, and choose by validation"),
    "sweep-trial": Command(
        "sweep_trial:SweepTrial", "run one trial; a sweep starts this by itself"
    ),
    "export": Command("export:Export", "write the model of a run to a file for other programs"),
    "models": Command("models:Models", "list the models, their size and their cost"),
    "data": DATA,
    "plan": Command("plan:PlanCost", "estimate memory and work of a training step"),
    "launch": Command(
        "launch:LaunchProcesses", "run an experiment in several processes on this machine"
    ),
    "template": TEMPLATES,
}
GROUPS = {
    "data": "look at data sets: list, fetch, info, show, bench",
    "show": "draw what a trained model does: " + ", ".join(SHOW),
    "template": "print a script that starts an experiment on a cluster: slurm, jobset",
}
