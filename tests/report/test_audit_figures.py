"""The pictures of the audit say what it found."""

import matplotlib.pyplot as plt
import pandas as pd

from soft_attention.model import audit
from soft_attention.report import audit_figures

SHAPE = (8, 6, 24)


def test_the_picture_says_how_many_channels_are_read():
    reach = {variant: audit.reach_by_impulse(SHAPE, variant) for variant in ("paper", "released")}
    figure = audit_figures.what_is_read(SHAPE, reach, "title")
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert "24 of 24 channels" in texts[0] and "3 of 24 channels" in texts[1]
    assert "what the released code computes: each in 8 rows and 3 columns" in texts[1]
    plt.close(figure)


def test_a_bar_is_as_long_as_the_share_that_lives():
    counts = pd.DataFrame({"network": ["a", "b"], "alive": [1, 3], "parameters": [4, 4]})
    figure = audit_figures.live_shares(counts, "title")
    assert [bar.get_width() for bar in figure.axes[0].containers[1]] == [0.25, 0.75]
    assert [text.get_text() for text in figure.axes[0].texts] == ["25.0%   (1 of 4)", "75.0%   (3 of 4)"]
    plt.close(figure)
