"""A generator can satisfy the discriminator of the moment with few points: it drops modes, and chases it round.

    min over G of max over D of V(D, G)     is what is meant: G answers the best D
    steps of G against a D that lags        is what is trained: G goes to where this D is fooled, D follows, G moves on

Momentum makes the chase worse: with Adam's usual b1 = 0.9 on both sides this small GAN collapses on a ring of eight
narrow Gaussians. Three cures, each alone: no momentum (b1 = 0); R1, a penalty on the discriminator's slope at the data,
so that the game comes to rest there (Mescheder et al. 2018); packing, a discriminator that sees four examples at once,
to which samples that are all alike look unlike the data (Lin et al. 2018). A mode counts where one of 2,500 samples is
within three standard deviations of its mean.
"""

import numpy as np

from gen.data import load
from gen.evaluation.modes import coverage, modes
from gen.figures import sample_picture, scene
from gen.figures.panels import panels
from gen.figures.points import render
from gen.lecture import Lesson, Training, short, subject, trained
from gen.objectives.penalties import PENALTIES

TITLE = "Mode collapse"
SHOWS = (coverage, modes, PENALTIES["r1"])

MOMENTUM = {"generator_optimizer.b1": 0.9, "discriminator_optimizer.b1": 0.9}
SMALL = {"generator.hidden": (64, 64), "discriminator.hidden": (64, 64), "ema_half_life": 10_000.0, "data.std": 0.02,
         "generator_optimizer.learning_rate": 1e-3, "discriminator_optimizer.learning_rate": 1e-3,
         "train.batch_size": 128, **short(steps=2_500, log_every=100)}
NO_PENALTY = {"penalties.r1": False}
RUNS = {
    "GAN": Training("gan/ring.py", SMALL | MOMENTUM | NO_PENALTY),
    "no momentum": Training("gan/ring.py", SMALL | NO_PENALTY),
    "R1": Training("gan/ring.py", SMALL | MOMENTUM),
    "packing 4": Training("gan/ring.py", SMALL | MOMENTUM | NO_PENALTY | {"packing": 4}),
}


def run(folder, cures=("no momentum", "R1", "packing 4"), **changes) -> Lesson:
    """Trains the GAN and its cures; counts the modes of each."""
    models = trained({name: RUNS[name] for name in ("GAN", *cures)}, folder, **changes)
    found = {name: modes(subject(model)) for name, model in models.items()}
    numbers = {f"{name}: {key}": values[key] for name, values in found.items() for key in ("modes", "high_quality")}
    reached = {name: values["modes"] for name, values in found.items()}
    claim = f"With momentum and no cure the GAN reaches at most 3 of 8 modes; with {', with '.join(cures)} all 8."
    holds = reached.pop("GAN") <= 3 and min(reached.values()) == 8
    return Lesson(draw(models, found), numbers, claim, bool(holds))


def draw(models, found):
    """Samples of each over the data and the field of its discriminator."""
    titles = [f"{name}: {values['modes']:.0f} of 8 modes" for name, values in found.items()]
    figure, row = panels(titles, width=300, height=335)
    for axes, model in zip(row, models.values(), strict=True):
        data = load(model.config.data).test["x"][:2_500]
        shown = scene(model.config, model.program.family.methods, model.state, data)
        axes.imshow(sample_picture(np.asarray(model.sample(2_500)), model.spec, **shown))
        axes.set_axis_off()
    return render(figure)
