"""Probability: what models, evaluators and the lecture share, as short pure functions.

`densities`: inverse distribution functions, the change of variables. `sampling`: rejection and importance sampling.
`divergences`: KL, Jensen-Shannon, total variation, Wasserstein and MMD, of densities on bins and of samples.
`gradients`: two estimators of an expectation's gradient. `linear_gaussian`: a latent-variable model in closed form.

Densities themselves are in `gen.distributions` and `gen.data.mixtures`, the mean of samples and its error is
`gen.estimates.estimate`. Ancestral sampling is `NormalMixture.sample`, `LinearGaussian.sample` and the method
`simulate` of a VAE; `log_prob` and `log_likelihood` of the same sum the latent out, `log_mean_exp` does so by samples.
"""
