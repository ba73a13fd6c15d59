"""A latent that the decoder does not listen to yet costs KL and earns nothing: the encoder switches it off, for good.

    ELBO = E_q[log p(x|z)] - sum over d of KL(q(z_d|x) || p(z_d))

Early in training the decoder explains the mean of the data without z. Then q(z_d|x) = p(z_d) makes the second term 0, the
decoder receives noise and learns to ignore it, and there is no gradient back: the posterior has collapsed, a local
optimum. Warm-up multiplies the KL by beta that grows from 0 to 1 over the first half of the steps: the latents
carry something before they have to pay for it. A latent is active where the variance over images of its posterior's
mean is above 0.01 (Burda et al. 2016, section 5.2; Bowman et al. 2016; Sonderby et al. 2016).
"""

import numpy as np

from gen.data import load
from gen.evaluation.latents import active_units, activity
from gen.figures.curves import COLOURS, read_metrics, series
from gen.figures.panels import legends, panels
from gen.figures.points import render
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.bounds import Terms, elbo

TITLE = "Posterior collapse"
SHOWS = (elbo, Terms.tempered, active_units)

STEPS = 1_600
DEEP = {"encoder.hidden": (128, 128, 128), "decoder.hidden": (128, 128, 128), "optimizer.learning_rate": 3e-3,
        "train.batch_size": 64, "evaluators.latents": True, **short(STEPS, log_every=50, evaluate_every=200)}
RUNS = {"ELBO": Training("vae/digits.py", DEEP),
        "KL warm-up": Training("vae/digits.py", DEEP | {"kl_warmup": STEPS // 2})}


def run(folder, **changes) -> Lesson:
    """Trains a deep VAE on digits without and with warm-up; counts its active latents."""
    models = trained(RUNS, folder, **changes)
    rows = {name: read_metrics(model.workdir) for name, model in models.items()}
    last = {name: next(row for row in reversed(own) if row["kind"] == "eval") for name, own in rows.items()}
    numbers = {f"{name}: {key}": values[key] for name, values in last.items() for key in ("active_units", "kl", "elbo")}
    plain, warm = last.values()
    claim = ("Of 10 latents at most 4 are active without warm-up, at least 8 with it, and the ELBO of test images is "
             "higher.")
    holds = plain["active_units"] <= 4 and warm["active_units"] >= 8 and warm["elbo"] > plain["elbo"]
    means = {}
    for name, model in models.items():
        x = model.decoded(load(model.config.data).test)["x"]
        means[name] = np.sort(np.asarray(activity(model.encode(x).loc)))[::-1]
    return Lesson(draw(rows, means), numbers, claim, bool(holds))


def draw(rows, activities):
    """KL while training, active latents at evaluations, and the activity of each at the end."""
    figure, (left, middle, right) = panels(["KL to the prior, training, nats", "active latents", "activity at the end"])
    for i, ((name, own), colour) in enumerate(zip(rows.items(), COLOURS, strict=False)):
        left.plot(*series([row for row in own if row["kind"] == "train"], "kl"), color=colour, linewidth=1.4, label=name)
        middle.plot(*series(own, "active_units"), "o-", color=colour, linewidth=1.4, markersize=3.5, label=name)
        place = np.arange(len(activities[name])) + 1 + 0.4 * (i - 0.5)
        right.bar(place, activities[name], 0.38, color=colour, label=name)
    right.axhline(0.01, color="#10151c", linewidth=0.9, linestyle=":")
    right.set(yscale="log", ylim=(1e-5, 2), xlabel="latent, from the most active")
    middle.set(xlabel="step", ylim=(0, 10.5))
    left.set(xlabel="step", ylim=(0, 12))
    legends([left, middle, right])
    return render(figure)
