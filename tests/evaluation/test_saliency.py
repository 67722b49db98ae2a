import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from soft_attention.evaluation import saliency

MEASURES = (saliency.energy_inside, saliency.pointing_game, saliency.iou_at_area)


@pytest.fixture
def masks():
    """Three lesions on 20 x 20 pixels, of area share .25, .08 and .01."""
    masks = np.zeros((3, 20, 20), bool)
    masks[0, :10, :10] = masks[1, 4:8, 2:10] = masks[2, 18:, 18:] = True
    return masks


def shares(masks):
    return masks.mean(axis=(1, 2))


# --- reference maps and resizing ------------------------------------------------------------------


def test_reference_maps_sum_to_one():
    assert saliency.uniform_map((3, 4)) == pytest.approx(np.full((3, 4), 1 / 12))
    bell = saliency.centred_gaussian((5, 8))
    assert bell.sum() == pytest.approx(1)
    assert bell == pytest.approx(bell[::-1, ::-1])
    assert np.unravel_index(bell.argmax(), bell.shape)[0] == 2


def test_gaussian_width_is_a_share_of_the_side():
    bell = saliency.centred_gaussian((1, 1000), sigma=0.1)[0]
    position = (np.arange(1000) + 0.5) / 1000 - 0.5
    assert np.sqrt((bell * position**2).sum()) == pytest.approx(0.1, rel=1e-3)
    with pytest.raises(ValueError, match="sigma=0"):
        saliency.centred_gaussian((3, 3), sigma=0)


@pytest.mark.parametrize(("cells", "size"), [((7, 7), 56), ((2, 3), (9, 10)), ((8, 8), 8), ((1, 1), 5)])
def test_resizing_is_bilinear_as_keras_does_it(cells, size):
    maps = np.random.default_rng(0).random((4, *cells)).astype("float32")
    both = (size, size) if isinstance(size, int) else size
    expected = keras.ops.image.resize(maps[..., None], both, interpolation="bilinear")
    found = saliency.resize_maps(maps, size)
    assert found == pytest.approx(keras.ops.convert_to_numpy(expected)[..., 0], abs=1e-5)


# --- maps against masks ---------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
def test_a_map_equal_to_the_mask_scores_one_and_its_inverse_zero(measure, masks):
    assert measure(masks.astype("float32"), masks) == pytest.approx(1)
    assert measure(1 - masks.astype("float32"), masks) == pytest.approx(0)


@pytest.mark.parametrize("constant", [0.0, 1 / 49, 3.0])
def test_a_map_without_preference_scores_chance(constant, masks):
    maps, share = saliency.resize_maps(np.full((3, 7, 7), constant), 20), shares(masks)
    assert saliency.energy_inside(maps, masks) == pytest.approx(share)
    assert saliency.pointing_game(maps, masks) == pytest.approx(share)
    assert saliency.iou_at_area(maps, masks) == pytest.approx(share / (2 - share))


def test_half_inside():
    maps = np.array([[[3.0, 1.0], [0.0, 0.0]]])
    masks = np.array([[[1, 0], [1, 0]]])
    assert saliency.energy_inside(maps, masks) == pytest.approx(0.75)
    assert saliency.pointing_game(maps, masks) == pytest.approx(1)
    assert saliency.iou_at_area(maps, masks) == pytest.approx(1 / 3)  # keeps the upper row
    # The best three: the upper row, and the lower row shares one place; the best one is inside.
    assert saliency.iou_curve(maps, masks, (0.25, 0.75)) == pytest.approx(np.array([[3 / 7, 1 / 2]]))


def test_iou_curve_peaks_at_the_quantile_of_the_lesion(masks):
    curve = saliency.iou_curve(masks.astype("float32"), masks, (0.5, 0.75, 0.92, 0.99))
    assert curve.argmax(axis=1).tolist() == [1, 2, 3]
    assert curve.max(axis=1) == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1e6))
def test_measures_are_shares_and_ignore_the_scale_of_the_map(seed, scale):
    rng = np.random.default_rng(seed)
    maps, masks = rng.random((5, 6, 6)) ** 4, rng.random((5, 6, 6)) < rng.random()
    masks[:, 0, 0] = True
    for measure in MEASURES:
        values = measure(maps, masks)
        assert ((values >= 0) & (values <= 1)).all()
        assert values == pytest.approx(measure(maps * scale, masks))
    assert saliency.entropy(maps) == pytest.approx(saliency.entropy(maps * scale))


def test_masks_may_be_0_and_255(masks):
    maps = np.random.default_rng(0).random(masks.shape)
    expected = saliency.energy_inside(maps, masks)
    assert saliency.energy_inside(maps, masks.astype("uint8") * 255) == pytest.approx(expected)


def test_impossible_maps_and_masks_are_refused(masks):
    maps = np.ones(masks.shape)
    with pytest.raises(ValueError, match="use resize_maps first"):
        saliency.energy_inside(maps[:, :7, :7], masks)
    with pytest.raises(ValueError, match="mask 1 marks no lesion"):
        saliency.iou_at_area(maps, masks & (np.arange(3) != 1)[:, None, None])
    for wrong in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="negative or not a number"):
            saliency.entropy(np.where(masks, wrong, maps))


# --- maps alone -----------------------------------------------------------------------------------


def test_spread_of_known_maps():
    one, half = np.zeros((4, 4)), np.zeros((4, 4))
    one[1, 2], half[:2] = 5, 0.1
    maps = np.stack([saliency.uniform_map((4, 4)), half, one, np.zeros((4, 4))])
    assert saliency.effective_cells(maps) == pytest.approx([16, 8, 1, 16])
    assert saliency.entropy(maps) == pytest.approx([1, np.log(8) / np.log(16), 0, 1], abs=1e-12)
    assert saliency.entropy(np.ones((2, 1, 1))) == pytest.approx(1)


def test_head_correlation_of_known_heads():
    rng = np.random.default_rng(0)
    ramp = np.arange(6.0).reshape(2, 3)
    copies = np.stack([ramp, 2 * ramp + 1, ramp])
    opposite = np.stack([ramp, -ramp, np.full((2, 3), 1 / 6)])  # the constant head is left out
    single = np.stack([ramp, np.zeros((2, 3)), np.zeros((2, 3))])
    found = saliency.head_correlation(np.stack([copies, opposite, single]))
    assert found[:2] == pytest.approx([1, -1])
    assert np.isnan(found[2])
    heads = rng.random((1, 5, 4, 4))
    expected = np.corrcoef(heads[0].reshape(5, -1))[np.triu_indices(5, 1)].mean()
    assert saliency.head_correlation(heads) == pytest.approx(expected)


def test_table_of_scores(masks):
    maps = np.stack([saliency.uniform_map((5, 5))] * 3).astype("float32")
    table = saliency.score_maps(maps, masks, batch_size=2)
    assert list(table) == ["area", "energy", "pointing", "iou", "entropy", "effective_cells"]
    assert table["area"].tolist() == pytest.approx([0.25, 0.08, 0.01])
    assert table["energy"].tolist() == pytest.approx(table["area"].tolist())
    assert table["effective_cells"].tolist() == pytest.approx([25] * 3)
    with pytest.raises(ValueError, match=r"received \(3, 5, 5\) and \(2, 20, 20\)"):
        saliency.score_maps(maps, masks[:2])


def test_compare_puts_the_ways_below_each_other():
    masks = np.zeros((2, 4, 4))
    masks[:, 1:3, 1:3] = 1
    table = saliency.compare({"exact": masks, "uniform": np.ones_like(masks)}, masks)
    assert list(table["map"]) == ["exact", "exact", "uniform", "uniform"]
    assert table["energy"].tolist() == [1, 1, 0.25, 0.25]
    empty = saliency.compare({"exact": masks[:0]}, masks[:0])
    assert empty.empty and list(empty.columns) == list(table.columns)


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 4, 4)), rng.random((3, 4, 4))
    second[2] = 0.5
    found = saliency.rank_correlation(first, second)
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first[:2], second[:2], strict=True)]
    assert found[:2] == pytest.approx(expected) and np.isnan(found[2])
