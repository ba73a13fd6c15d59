"""Scores of samples against a reference, or of samples alone, with the protocol in the name of each."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gen.errors import UserError, lookup
from gen.evaluation.comparison import named
from gen.evaluation.kernel import SUBSET
from gen.evaluation.pretrained import statistics, weights
from gen.evaluation.pretrained.extraction import Extractor, extractor
from gen.evaluation.pretrained.networks import NETWORKS, Network
from gen.evaluation.pretrained.scores import MOST, NEIGHBOURS, SPLITS, Score, renamed, scores
from gen.evaluation.pretrained.statistics import Known, known
from gen.evaluation.pretrained.store import fill
from gen.evaluation.pretrained.store import opened as stored
from gen.evaluation.pretrained.weights import Weights
from gen.files import check_writable, user_path
from gen.measurement import pairs
from gen.measurement.sources import Source, SourceOptions, TellUser, is_statistics, opened, word

METRICS = {name: (*network.scores, *pairs.TRUNKS) for name, network in NETWORKS.items()}
"""Network to what can be measured by it; `fid_infinity` takes some seconds for each of its 15 points."""

SECONDS = 10.0
"""Between two reports of the progress."""

Measurable = str | Path | np.ndarray
"""A folder of images, a run's folder, an npz file, "DATASET:SPLIT", or bytes [n h w c]."""


def quiet(text: str) -> None:
    """Tells nobody."""


def measure(samples: Measurable, reference: Measurable | None = None, metrics: Iterable[str] | None = None, *,
            network: str = "inception", real: Measurable | None = None, resize: str | None = None, n: int = 0,
            step: int | str | None = None, seed: int = 0, skip_bad: bool = False, subset: int = SUBSET,
            splits: int = SPLITS, k: int = NEIGHBOURS, most: int = MOST, keep: bool = False,
            save_statistics: str | Path | None = None, tell: TellUser = quiet) -> dict[str, Any]:
    """Returns {metric: value}, and under "protocol" which images, weights and rule.

    What is computed is kept on the disk: a measurement that was killed goes on where it was, and a reference is
    computed once. The outputs of samples are removed at the end.

    Args:
      samples: images.
      reference: images, or an npz file of their statistics (`mu`, `sigma`); the Inception score needs none.
      metrics: of `METRICS`; by default the Frechet distance.
      network: whose outputs are compared, of `gen.evaluation.pretrained.networks.NETWORKS`.
      real: real images that are not in the reference, to be measured as the samples are: their metrics end in `_real`.
      resize: a rule of the network, `gen.evaluation.pretrained.resize`; by default its usual one.
      n: how many samples; 0 for all, of a run 50,000.
      step, seed: of a run's checkpoint and its samples.
      skip_bad: leave files out that cannot be read.
      subset, splits, k, most: images of KID's subsets, parts of the Inception score, neighbours of precision and
        recall, and images of each set that these take.
      keep: do not remove the outputs of the samples.
      save_statistics: an npz file to write the reference's mean and covariance to, with what they are of.
      tell: is told what is noteworthy, and the progress.
    Raises:
      UserError: images, statistics, options or weights with which nothing can be measured.
    """
    net = lookup(NETWORKS, network, "network")
    table = chosen([net.score] if metrics is None else metrics, network, scores(subset, splits, k, most))
    resize = net.resize if resize is None else resize
    lookup(net.rules, resize, "rule of resizing")
    check_options(n=(n, 0), subset=(subset, 2), splits=(splits, 1), k=(k, 1), most=(most, 2))
    if reference is None and any(score is None or score.compared for score in table.values()):
        raise UserError(f"{', '.join(table)}: a reference is needed for all but the Inception score (is).")
    if save_statistics:
        check_kept(user_path(save_statistics), table)
    paired = [name for name, score in table.items() if score is None]
    table = {name: score for name, score in table.items() if score is not None}
    loaded = weights.load(net.published) if table else None
    for metric in paired:
        pairs.loaded(metric)
    options = SourceOptions(n, step, seed, skip_bad, tell)
    sources = [opened(samples, options), *([opened(real, replace(options, n=0))] if real is not None else [])]
    results, protocol = pairs.measured(paired, sources[0], opened(reference, options), tell) if paired else ({}, {})
    if loaded:
        tell(f"{net.published.title}: weights of SHA-256 {loaded.sha256}, rule {resize}; pixels are bytes.")
        with contextlib.ExitStack() as held:
            sets = Sets(held, net, loaded, resize, table, tell)
            found, said = sets.measured(sources, reference, options, keep, save_statistics)
            results, protocol = results | found, protocol | said
    return results | {"protocol": protocol}


def chosen(metrics: Iterable[str], network: str, table: Mapping[str, Score]) -> dict[str, Score | None]:
    """The network's scores of these names, in `table` by their general names; None for distances of pairs.

    Raises a UserError for an unknown name, or none.
    """
    names = list(dict.fromkeys(metrics))
    if not names:
        raise UserError(f"--metrics: name some of {', '.join(METRICS[network])}.")
    known = {name: table[score] for name, score in NETWORKS[network].scores.items()} | dict.fromkeys(pairs.TRUNKS)
    return {name: lookup(known, name, "metric") for name in names}


def check_options(**numbers: tuple[int, int]) -> None:
    """Raises a UserError for a number below its least one."""
    for name, (value, least) in numbers.items():
        if value < least:
            raise UserError(f"--{name}={value}: at least {least}.")


def check_kept(path: Path, table: Mapping[str, Score | None]) -> None:
    """Raises a UserError where no file of the reference's mean and covariance can be written, or there are none."""
    check_writable(path)
    if not any(score and score.compared and "features" in score.outputs for score in table.values()):
        raise UserError(f"--save_statistics={path}: {', '.join(table)} takes no features of a reference; add fid, or "
                        "fd, to --metrics.")


class Set:
    """Images of which the outputs are known.

    Attributes:
      name: in metrics.
      known: of them.
      forget: removes what is kept of them.
    """

    def __init__(self, name: str, known: Known, forget: Callable[[], None] = lambda: None):
        self.name, self.known, self.forget = name, known, forget


class Sets:
    """The sets of a measurement: each is computed once, also where two are the same images."""

    def __init__(self, held: contextlib.ExitStack, network: Network, loaded: Weights, resize: str,
                 table: Mapping[str, Score], tell: TellUser):
        self.held, self.network, self.loaded, self.resize = held, network, loaded, resize
        self.table, self.tell = table, tell
        self.wanted = tuple(sorted({output for score in table.values() for output in score.outputs}))
        self.made: dict[str, Known] = {}

    @functools.cached_property
    def extract(self) -> Extractor:
        """The network, compiled once for all sets."""
        return extractor(self.network, self.loaded, self.resize, self.wanted)

    def measured(self, sources: list[Source], reference: Measurable | None, options: SourceOptions, keep: bool,
                 save_statistics: str | Path | None) -> tuple[dict[str, float], dict[str, Any]]:
        """Every score of the samples and, if there are any, of the real images, and what the numbers are of."""
        compared = any(score.compared for score in self.table.values())
        target = self.reference(reference, options) if compared else None
        found = [self.images(role, source) for role, source in zip(("samples", "real"), sources, strict=False)]
        results = {}
        for one, end in zip(found, ("", "_real"), strict=False):
            results |= {f"{name}{end}": value for name, value in self.scored(one.known, target).items()}
        if save_statistics:
            statistics.write(user_path(save_statistics), target.known)
        protocol = {"resize": self.resize, "weights": self.loaded.sha256, "pixels": "bytes"}
        for name, one in zip(("samples", "real"), found, strict=False):
            protocol[name] = {"name": one.name, **one.known.provenance}
        if target:
            protocol["reference"] = {"name": target.name, **target.known.provenance}
        for one in found if not keep else ():
            one.forget()
        return results, protocol

    def scored(self, samples: Known, target: "Set | None") -> dict[str, float]:
        """Every score, its protocol in its name."""
        results = {}
        for name, score in self.table.items():
            n = min(score.most or samples.n, samples.n)
            values = score.function(samples, target.known) if score.compared else score.function(samples)
            against = (target.name,) if score.compared else ()
            values = renamed(values, self.network.scores[name], name)
            results |= named(values, self.loaded.word, self.resize, *score.protocol, n, *against)
        return results

    def reference(self, what: Measurable, options: SourceOptions) -> Set:
        """Statistics of a file, with its images where they are wanted and in it too; or images."""
        options = replace(options, n=0)
        if not is_statistics(what):
            made = self.images("reference", opened(what, options))
            return Set(made.name, made.known)
        path = user_path(what)
        expected = {"resize": self.resize, "weights": self.loaded.sha256}
        found = statistics.read(path, expected, self.network.widths)
        if not found.provenance:
            self.tell(f"{path} does not say by which rule of resizing and weights it was made: that it was by "
                      f"{self.resize} is up to you.")
        needed = {output for score in self.table.values() if score.compared for output in score.outputs}
        missing = needed - set(found.gaussians)
        if missing:
            raise UserError(f"{path} has no {' and no '.join(statistics.KEYS[name][0] for name in sorted(missing))}: "
                            "sFID cannot be computed against it.")
        if {"kid", "prdc"} & {self.network.scores[name] for name in self.table}:
            images = self.images("reference", opened(what, options)).known
            found = Known(images.n, images.rows, found.gaussians, {**images.provenance, "statistics": "of the file"})
        return Set(word(path.stem), found)

    def images(self, role: str, source: Source) -> Set:
        """The outputs of a source, those that are not kept computed now."""
        identity = {**source.identity, "resize": self.resize, "weights": self.loaded.sha256}
        key = repr(sorted(identity.items()))
        if key in self.made:
            return Set(source.name, self.made[key])
        store = self.held.enter_context(stored(self.network, identity, self.tell))
        done = store.done(self.wanted)
        self.tell(f"{role}: {source.n:,} images of {source.name}" + (f", {done:,} of them known" if done else ""))
        if done < source.n:
            fill(store, source.images, source.n, self.wanted, self.extract, Progress(role, done, source.n, self.tell))
        self.made[key] = known(store, source.n, self.wanted)
        return Set(source.name, self.made[key], store.remove)


class Progress:
    """Tells how far it is and how long it will take, at most every `SECONDS`."""

    def __init__(self, what: str, done: int, n: int, tell: TellUser, clock: Callable[[], float] = time.monotonic):
        self.what, self.begun, self.n, self.tell, self.clock = what, done, n, tell, clock
        self.started = self.told = clock()

    def __call__(self, done: int) -> None:
        now = self.clock()
        if now - self.told < SECONDS and done < self.n:
            return
        self.told = now
        rate = (done - self.begun) / max(now - self.started, 1e-9)
        left = (self.n - done) / rate if rate else 0.0
        self.tell(f"{self.what}: {done:,} of {self.n:,} images, {rate:.1f} a second, {duration(left)} left")


def duration(seconds: float | int) -> str:
    """ "3 h 12 min", "4 min 10 s" or "9 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
