"""The better the discriminator, the less the generator learns from it, where the two densities hardly overlap.

    JSD(p || q) = log 2           wherever p and q have disjoint supports, however near they are: it has no gradient
    d/dG log(1 - D(G(z)))         vanishes as D(G(z)) goes to 0: the minimax game's generator is dead
    d/dG -log D(G(z))             does not: the non-saturating generator still moves

A generator that stays as it began, a blob in the middle of a ring of narrow Gaussians, meets a discriminator that
trains. R1 (Mescheder et al. 2018) keeps the discriminator's slope at the data small, so that it cannot become as sure
(Goodfellow et al. 2014, section 3; Arjovsky & Bottou 2017, theorems 2.4 and 2.6).
"""

from gen.evaluation.diagnosis import dead_generator
from gen.figures.curves import COLOURS, series
from gen.figures.panels import legends, panels
from gen.figures.points import render
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.adversarial import non_saturating_generator, saturating
from gen.objectives.penalties import PENALTIES
from gen.run_folder import read_metrics

TITLE = "The dead generator"
SHOWS = (saturating, non_saturating_generator, PENALTIES["r1"], dead_generator)

FIXED = {"loss.name": "minimax", "data.radius": 4.0, "generator_optimizer.learning_rate": 0.0,
         "discriminator_optimizer.learning_rate": 3e-3, "ema_half_life": 0.0,
         "generator.hidden": (64, 64), "generator.activation": "tanh", "discriminator.hidden": (64, 64),
         "train.batch_size": 128, **short(steps=1_000, log_every=20)}
RUNS = {"no penalty": Training("gan/ring.py", FIXED | {"penalties.r1": False}),
        "R1": Training("gan/ring.py", FIXED | {"penalties.r1.weight": 10.0})}


def run(folder, **changes) -> Lesson:
    """Trains a discriminator against a fixed generator, without and with R1; follows the generator's gradients."""
    rows = {name: read_metrics(model.workdir) for name, model in trained(RUNS, folder, **changes).items()}
    ends = {name: {side: series(own, f"generator_gradient_{side}").values for side in ("saturating", "non_saturating")}
            for name, own in rows.items()}
    falls = {name: {side: values[-1] / values[0] for side, values in own.items()} for name, own in ends.items()}
    numbers = {f"{name}, {side.replace('_', '-')}: last over first": value
               for name, own in falls.items() for side, value in own.items()}
    numbers |= {f"{name}: accuracy on fakes": series(own, "fake_accuracy").values[-1] for name, own in rows.items()}
    plain = falls["no penalty"]
    holds = plain["saturating"] < 1e-3 and plain["non_saturating"] > 1 and falls["R1"]["saturating"] > 1e-2
    claim = ("The gradient through log(1 - D) falls more than 1,000-fold while that through -log D grows; with R1 it "
             "keeps more than a hundredth.")
    return Lesson(draw(rows), numbers, claim, bool(holds))


def draw(rows):
    """Gradient norms of both losses, and what the discriminator thinks of fakes."""
    figure, (left, right) = panels(["norm of the generator's gradient", "mean logit of fakes"], width=420)
    for (name, own), line in zip(rows.items(), ("-", "--"), strict=True):
        for side, label, colour in (("saturating", "log(1 - D)", COLOURS[1]), ("non_saturating", "-log D", COLOURS[0])):
            steps, values = series(own, f"generator_gradient_{side}")
            left.semilogy(steps, values, color=colour, linestyle=line, linewidth=1.4, label=f"{label}, {name}")
        steps, values = series(own, "fake_logits")
        right.plot(steps, values, color="#10151c", linestyle=line, linewidth=1.4, label=name)
    left.set(xlabel="step of the discriminator")
    right.set(xlabel="step of the discriminator")
    legends([left, right])
    return render(figure)
