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
    "list": Command("data:DataList", "list the data sets that are known here"),
    "fetch": Command("data:DataFetch", "bring a data set to disk"),
    "info": Command("data:DataInfo", "tell counts, shapes, classes and statistics of a set"),
    "show": Command("data:DataShow", "draw images of a set, with random changes beside them"),
    "bench": Command("data_bench:DataBench", "measure how fast a set can be read"),
}
SHOW = {
    "walk": Command("show:ShowWalk", "a picture on its way through the net, step by step"),
    "attention": Command("show_attention:ShowAttention", "where the net finds what it tells"),
    "filters": Command("show:ShowFilters", "the kernels of a convolution"),
    "features": Command("show:ShowFeatures", "the maps that a layer makes of a picture"),
    "told": Command("show_results:ShowTold", "boxes or masks that are true, and those told"),
    "mistakes": Command("show_results:ShowMistakes", "the examples that are told most wrong"),
    "confusion": Command("show_results:ShowConfusion", "which classes are taken for which"),
    "reliability": Command("show_results:ShowReliability", "how far probabilities can be trusted"),
    "curves": Command("show_results:ShowCurves", "the learning curves of runs"),
    "gradients": Command("show_training:ShowGradients", "sizes of gradients, and a verdict"),
    "line": Command("show_training:ShowLine", "the loss between two checkpoints"),
    "patches": Command("show_learnt:ShowPatches", "what excites the maps of a layer most"),
    "embedding": Command("show_learnt:ShowEmbedding", "a map of examples by their features"),
}
TEMPLATES = {
    "slurm": Command("template:Slurm", "print a Slurm batch script for an experiment"),
    "jobset": Command("template:JobSet", "print a Kubernetes JobSet for an experiment"),
}
COMMANDS: Mapping[str, Command | Mapping[str, Command]] = {
    "train": Command("train:Launch", "train an experiment's file, or a task on your own data"),
    "new": Command("new:NewExperiment", "write the file of an experiment, to begin with"),
    "evaluate": Command("runs:Evaluate", "evaluate a run's model on every example of a split"),
    "metrics": Command("metrics:Metrics", "compute metrics from stored predictions"),
    "predict": Command("runs:Predict", "tell what a run's model says of images, series or texts"),
    "show": SHOW,
    "serve": Command("serve:Serve", "open a run's page in the browser, and try own inputs there"),
    "runs": Command("run_list:Runs", "list runs with their results"),
    "compare": Command("compare:Compare", "compare runs over seeds, and test their differences"),
    "report": Command("report:Report", "write a page of a run, or of several, as one HTML file"),
    "sweep": Command("sweep:Sweep", "try many recipes, and choose one by validation"),
    "sweep-trial": Command("sweep_trial:SweepTrial", "carry out one trial, as a sweep starts it"),
    "export": Command("export:Export", "write a run's model to a file for other programs"),
    "models": Command("models:Models", "list the models, and what they cost"),
    "data": DATA,
    "plan": Command("plan:PlanCost", "tell what a training step takes, without running it"),
    "launch": Command("launch:LaunchProcesses", "run an experiment in several processes here"),
    "template": TEMPLATES,
}
GROUPS = {
    "data": "look at data sets: list, fetch, info, show, bench",
    "show": "draw what a trained net does: " + ", ".join(SHOW),
    "template": "print files that start an experiment on a cluster: slurm, jobset",
}
