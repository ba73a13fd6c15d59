"""Why samples of a VAE blur and those of a GAN do not: the same data, the same decoder, another divergence.

    log p(x|z) = -|x - f(z)|^2 / (2 s^2) + const     is greatest in the mean where f(z) = E[x|z]
    V(D, G)                                          punishes G(z) wherever D can tell it from data

An average of images that z cannot tell apart is no image: between black and white it is grey. To the Gaussian
likelihood grey is the best answer, and the noise it adds to be a distribution is speckle. To a discriminator one grey
pixel gives the sample away. Maximum likelihood must cover all data (KL(p || q)) and pays with samples between them; a
GAN may leave data out and pays with modes. The images here have pixels of 0 and 1 alone, so that grey can be counted.
"""

import jax
import numpy as np

from gen.data import load
from gen.distributions.likelihoods import LIKELIHOODS
from gen.figures.grids import image_grid
from gen.figures.panels import panels
from gen.figures.points import render
from gen.lecture import Lesson, Training, short, trained
from gen.objectives.adversarial import ADVERSARIAL

TITLE = "Blur"
SHOWS = (LIKELIHOODS["normal_shared"], ADVERSARIAL["non_saturating"])

SAME = {"data.name": "digits", "data.binarize": "static", "latents": 16}
RUNS = {
    "VAE": Training("vae/digits.py", SAME | {
        "encoder.name": "dcgan", "encoder.width": 32, "decoder.name": "dcgan", "decoder.width": 32,
        "likelihood.name": "normal_shared", **short(steps=2_000, log_every=100)}),
    "GAN": Training("gan/dcgan_mnist.py", SAME | {
        "data.range": "unit", "generator_optimizer.learning_rate": 1e-3, "discriminator_optimizer.learning_rate": 1e-3,
        "ema_half_life": 5_000.0, **short(steps=2_000, log_every=100)}),
}

GREY = (0.1, 0.9)
N, SHOWN = 1_000, 25


def grey(images) -> float:
    """Share of the pixels that are neither black nor white."""
    return float(((images > GREY[0]) & (images < GREY[1])).mean())


def run(folder, **changes) -> Lesson:
    """Trains both on static binarised digits; counts the grey pixels of their samples."""
    models = trained(RUNS, folder, **changes)
    vae = models["VAE"]
    noisy = np.asarray(jax.jit(vae.program.family.methods["simulate"], static_argnums=2)(
        vae.state, jax.random.key(0), N)[0]["x"])
    images = {"data": load(vae.config.data).test["x"][:N] / 255, "VAE: means E[x|z]": vae.sample(N),
              "VAE: samples of p(x|z)": noisy, "GAN": models["GAN"].sample(N)}
    shares = {name: grey(x) for name, x in images.items()}
    numbers = {f"{name}: share of grey pixels": share for name, share in shares.items()}
    claim = "No pixel of the data is grey; over a third of the VAE's are, and less than a third as many of the GAN's."
    blurred, sharp = shares["VAE: means E[x|z]"], shares["GAN"]
    return Lesson(draw(images, shares), numbers, claim, shares["data"] == 0 and blurred > max(1 / 3, 3 * sharp))


def draw(images, shares):
    """Grids of each with its share of grey pixels."""
    figure, row = panels([f"{name}, {shares[name]:.0%} grey" for name in images], width=240, height=265)
    for axes, x in zip(row, images.values(), strict=True):
        pixels = np.uint8(np.round(255 * np.clip(x[:SHOWN], 0, 1)))
        axes.imshow(image_grid(pixels, background=128), cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
    return render(figure)
