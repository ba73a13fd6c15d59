"""Scores of images by the features of Inception, exactly as the literature computes them.

`weights` reads the user's file, `network` is the network, `resize` the three rules that bring images to its size,
`extraction` gives the features of a stream of images, `statistics` what is known of a set of images, `scores` the
numbers, and `evaluators` applies them to a trained model.
"""
