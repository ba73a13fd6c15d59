

@pytest.mark.slow
def test_samples_may_have_colours_of_their_own():
    samples, limits = np.array([[-1.0, 0.0], [1.0, 0.0]]), (-2.0, 2.0, -2.0, 2.0)
    colours = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    picture = points.scatter_picture(samples, limits=limits, colours=colours)
    for sample, colour in zip(samples, colours, strict=True):
        x, y = points.place(sample, limits)
        np.testing.assert_allclose(picture[int(y * 480), int(x * 480)].astype(int), colour, atol=2)
