"""A latent that the decoder does not listen to yet costs KL and earns nothing: the encoder switches it off, for good.

    ELBO = E_q[log p(x|z)] - sum over d of KL(q(z_d|x) || p(z_d))

Early in training the decoder explains the mean of the data without z. Then q(z_d|x) = p(z_d) makes the second term 0,
the decoder receives noise and learns to ignore it, and there is no gradient back: the posterior has collapsed, a local
optimum. Warm-up multiplies the KL by beta that grows from 0 to 1 over the first half of the steps: the latents carry
something before they have to pay for it. A latent is active where the variance over images of its posterior's
mean is above 0.01 (Burda et al. 2016, section 5.2; Bowman et al. 2016; Sonderby et al. 2016).
"""

import numpy as np

from gen.data import load
from gen.evaluation.latents import active_units, activity
from gen.figures.curves import COLOURS, by_kind, series
from gen.figures.panels import legends, panels
from gen.figures.points import render
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.bounds import Terms, elbo
from gen.run_folder import read_metrics

TITLE = "Posterior collapse"
SHOWS = (elbo, Terms.tempered, active_units)

STEPS = 2_000
DEEP = {"encoder.hidden": (128, 128, 128), "decoder.hidden": (128, 128, 128), "optimizer.learning_rate": 3e-3,
        **short(STEPS, log_every=50, evaluate_every=100)}
RUNS = {"ELBO": Training("vae/digits.py", DEEP),
        "KL warm-up": Training("vae/digits.py", DEEP | {"kl_warmup": STEPS // 2})}


def run(folder, **changes) -> Lesson:
    """Trains a deep VAE on digits without and with warm-up; counts its active latents."""
    models = trained(RUNS, folder, **changes)
    rows = {name: read_metrics(model.workdir) for name, model in models.items()}
    numbers, means = {}, {}
    for name, model in models.items():
        last = next(row for row in reversed(rows[name]) if row["kind"] == "eval")
        means[name] = model.encode(model.decoded(load(model.config.data).test)["x"]).loc
        numbers |= {f"{name}: active latents": active_units(means[name])}
        numbers |= {f"{name}: {key} of test images, nats": last[key] for key in ("kl", "elbo")}
    (plain, _, plain_elbo), (warm, _, warm_elbo) = (list(numbers.values())[i:i + 3] for i in (0, 3))
    claim = "Of 10 latents at most 4 are active without warm-up and at least 8 with it, and the ELBO is higher with it."
    picture = draw(rows, {name: np.sort(np.asarray(activity(loc)))[::-1] for name, loc in means.items()})
    return Lesson(picture, numbers, claim, bool(plain <= 4 and warm >= 8 and warm_elbo > plain_elbo))


def draw(rows, activities):
    """KL and ELBO over training, and the activity of each latent at the end."""
    figure, (left, middle, right) = panels(["KL to the prior, nats", "ELBO, test images, nats", "activity at the end"])
    for i, ((name, own), colour) in enumerate(zip(rows.items(), COLOURS, strict=False)):
        kinds = by_kind(own)
        left.plot(*series(kinds["train"], "kl"), color=colour, linewidth=1.4, label=name)
        middle.plot(*series(kinds["eval"], "elbo"), color=colour, linewidth=1.4, label=name)
        place = np.arange(len(activities[name])) + 1 + 0.4 * (i - 0.5)
        right.bar(place, activities[name], 0.38, color=colour, label=name)
    right.axhline(0.01, color="#10151c", linewidth=0.9, linestyle=":")
    right.set(yscale="log", ylim=(1e-4, 30), xlabel="latent, from the most active")
    middle.set(xlabel="step", ylim=(-27, None))
    left.set(xlabel="step", ylim=(0, 12))
    legends([left, middle, right])
    return render(figure)
