"""Scores of images by the features of Inception, by the rules of the literature's tools.

Each stage is held against torch-fidelity, pytorch-fid and clean-fid with random weights (docs/precision.md); a whole
measurement, and the published weights, are not yet.

`weights` reads the user's file, `network` is the network, `resize` the three rules that bring images to its size,
`extraction` gives the features of a stream of images, `statistics` what is known of a set of images, `scores` the
numbers, and `evaluators` applies them to a trained model.
"""
