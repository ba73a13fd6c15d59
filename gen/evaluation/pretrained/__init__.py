"""Scores of sets of images by the outputs of a pretrained network, by the rules of the literature's tools.

Each stage is held against other implementations with random weights (docs/precision.md); the published weights are not
yet.

`networks` is the table of what can compare, `inception` and `dinov2` compute, `lpips` compares images two by two,
`weights` reads the user's files, `resize` has the rules that bring images to a network's size, `extraction` gives the
outputs of a stream of images, `statistics` what is known of a set of images, `scores` the numbers, and `evaluators`
applies them to a trained model.
"""
