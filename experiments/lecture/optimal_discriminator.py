"""A discriminator trained long enough against a fixed generator measures how far the generator is from the data.

    V(D) = E_p[log D(x)] + E_q[log(1 - D(x))]         p the data's density, q the generator's
    D*(x) = p(x) / (p(x) + q(x))                      the best discriminator (proposition 1)
    V(D*) = 2 JSD(p || q) - log 4                     its value (theorem 1)

On the line with one latent q is known: it is the density of G(z), z ~ N(0, 1), by the change of variables. So the
trained network is held against D* and V(D) against 2 JSD - log 4 by quadrature, without samples. No discriminator has
more (Goodfellow et al. 2014, section 4).
"""

import numpy as np

from gen.evaluation import optimal
from gen.figures.curves import COLOURS, series
from gen.figures.panels import legends, panels, second_scale
from gen.figures.points import DATA_COLOUR, SAMPLE_COLOUR, render
from gen.lecture import Lesson, Training, short, subject, trained
from gen.probability.densities import pushforward
from gen.probability.divergences import jensen_shannon
from gen.run_folder import read_metrics

TITLE = "The best discriminator"
SHOWS = (optimal.optimal_discriminator, optimal.game_value, jensen_shannon, pushforward)
RUNS = {"fixed generator": Training("gan/one_d.py:fixed", short(steps=1_000, log_every=50, evaluate_every=50))}


def run(folder, bound: float = 0.03, **changes) -> Lesson:
    """Trains the discriminator alone; compares it with the best one."""
    model = trained(RUNS, folder, **changes)["fixed generator"]
    found = subject(model)
    numbers = optimal.optimal_discriminator(found)
    claim = f"The trained discriminator's value is below 2 JSD - log 4, as any other's, by less than {bound:g} nats."
    picture = draw(optimal.line(found), [row for row in read_metrics(model.workdir) if row["kind"] == "eval"])
    return Lesson(picture, numbers, claim, bool(0 <= numbers["gap"] < bound))


def draw(game, rows):
    """Densities with both discriminators, and the value while the discriminator trains."""
    figure, (left, right) = panels(["densities, and the discriminators over them", "value of the game"], width=420)
    x, width, either = game.centres, np.diff(game.edges), game.data + game.generator
    left.fill_between(x, game.data / width, color=DATA_COLOUR, alpha=0.45, linewidth=0, label="data p")
    left.fill_between(x, game.generator / width, color=SAMPLE_COLOUR, alpha=0.45, linewidth=0, label="generator q")
    left.set(xlim=(-3, 3), ylim=(0, 1.6), xlabel="x", ylabel="density")
    other = second_scale(left)
    best = np.where(either > 1e-12, game.data / np.maximum(either, 1e-12), np.nan)
    other.plot(x, best, color="#10151c", linewidth=1.2, linestyle="--", label="best D")
    other.plot(x, 1 / (1 + np.exp(-game.logits)), color=COLOURS[0], linewidth=1.4, label="trained D")
    other.set(ylim=(-0.02, 1.02))
    steps, values = series(rows, "value")
    right.plot(steps, values, color=COLOURS[0], linewidth=1.4, label="trained D")
    right.axhline(rows[-1]["optimal_value"], color="#10151c", linewidth=1.0, linestyle="--", label="2 JSD - log 4")
    right.axhline(-np.log(4), color=DATA_COLOUR, linewidth=1.0, linestyle=":", label="-log 4: D = 1/2, or q = p")
    right.set(xlabel="step", ylabel="nats")
    legends([left, other, right])
    other.get_legend().set_loc("upper right")
    left.get_legend().set_loc("upper left")
    return render(figure)
