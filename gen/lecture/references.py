"""The papers and books that chapters name, each with where it can be read."""

REFERENCES = {
    "Arjovsky & Bottou 2017": ("Towards principled methods for training generative adversarial networks",
                               "https://arxiv.org/abs/1701.04862"),
    "Arjovsky et al. 2017": ("Wasserstein GAN", "https://arxiv.org/abs/1701.07875"),
    "Binkowski et al. 2018": ("Demystifying MMD GANs", "https://arxiv.org/abs/1801.01401"),
    "Bishop 2006": ("Pattern recognition and machine learning",
                    "https://www.microsoft.com/en-us/research/people/cmbishop/prml-book/"),
    "Bowman et al. 2016": ("Generating sentences from a continuous space", "https://arxiv.org/abs/1511.06349"),
    "Burda et al. 2016": ("Importance weighted autoencoders", "https://arxiv.org/abs/1509.00519"),
    "Devroye 1986": ("Non-uniform random variate generation", "https://luc.devroye.org/rnbookindex.html"),
    "Dinh et al. 2017": ("Density estimation using Real NVP", "https://arxiv.org/abs/1605.08803"),
    "Goodfellow et al. 2014": ("Generative adversarial nets", "https://arxiv.org/abs/1406.2661"),
    "Gretton et al. 2012": ("A kernel two-sample test", "https://jmlr.org/papers/v13/gretton12a.html"),
    "Gulrajani et al. 2017": ("Improved training of Wasserstein GANs", "https://arxiv.org/abs/1704.00028"),
    "Hoffman & Johnson 2016": ("ELBO surgery: yet another way to carve up the variational evidence lower bound",
                               "https://approximateinference.org/accepted/HoffmanJohnson2016.pdf"),
    "Ho et al. 2020": ("Denoising diffusion probabilistic models", "https://arxiv.org/abs/2006.11239"),
    "Kingma & Welling 2014": ("Auto-encoding variational Bayes", "https://arxiv.org/abs/1312.6114"),
    "Kingma et al. 2016": ("Improving variational inference with inverse autoregressive flow",
                           "https://arxiv.org/abs/1606.04934"),
    "Kingma et al. 2021": ("Variational diffusion models", "https://arxiv.org/abs/2107.00630"),
    "Lin et al. 2018": ("PacGAN: the power of two samples in generative adversarial networks",
                        "https://arxiv.org/abs/1712.04086"),
    "Lucas et al. 2019": ("Don't blame the ELBO! A linear VAE perspective on posterior collapse",
                          "https://arxiv.org/abs/1911.02469"),
    "Meehan et al. 2020": ("A non-parametric test to detect data-copying in generative models",
                           "https://arxiv.org/abs/2004.05675"),
    "Mescheder et al. 2018": ("Which training methods for GANs do actually converge?",
                              "https://arxiv.org/abs/1801.04406"),
    "Metz et al. 2017": ("Unrolled generative adversarial networks", "https://arxiv.org/abs/1611.02163"),
    "Mohamed et al. 2020": ("Monte Carlo gradient estimation in machine learning", "https://arxiv.org/abs/1906.10652"),
    "Sonderby et al. 2016": ("Ladder variational autoencoders", "https://arxiv.org/abs/1602.02282"),
    "Song et al. 2021": ("Denoising diffusion implicit models", "https://arxiv.org/abs/2010.02502"),
    "Tipping & Bishop 1999": ("Probabilistic principal component analysis",
                              "https://doi.org/10.1111/1467-9868.00196"),
    "Tomczak & Welling 2018": ("VAE with a VampPrior", "https://arxiv.org/abs/1705.07120"),
    "Williams 1992": ("Simple statistical gradient-following algorithms for connectionist reinforcement learning",
                      "https://doi.org/10.1007/BF00992696"),
}
"""Authors and year, as chapters name them, to (title, address)."""


def cited(text: str) -> list[tuple[str, str]]:
    """(Citation, address) of what the text names, in the order of its names."""
    words = " ".join(text.split())
    return [(f"{name}: {title}", address) for name, (title, address) in REFERENCES.items() if name in words]
