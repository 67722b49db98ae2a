"""The peers beside the authors and us."""

import pandas as pd
import pytest

from soft_attention.claims.peers import PEER_COLUMNS, peers_table


def test_peers_stand_beside_the_authors_and_us(cell):
    ours = pd.DataFrame(
        {"who": ["us"], "backbone": ["vgg16"], "arm": ["paper"], "accuracy": [0.5], "test_images": [2003]}
    )
    table = peers_table(ours)
    assert tuple(table) == PEER_COLUMNS
    assert len(table) == 10 + 9 + 1
    mine = cell(table, who="us")
    assert (mine["backbone"], mine["arm"], mine["accuracy"], mine["test_images"]) == ("vgg16", "paper", 0.5, 2003)
    peer = cell(table, who="kanhaiyak23", arm="released")
    assert (peer["melanoma_correct"], peer["melanoma_images"], peer["weighted_precision"]) == (21, 34, 0.913)
    authors = cell(table, who="authors", backbone="inception_resnet_v2", arm="baseline")
    assert (authors["melanoma_correct"], authors["melanoma_images"], authors["melanoma_recall"]) == (19, 34, 0.56)
    assert table["backbone"].drop_duplicates().tolist()[0] == "vgg16"
    assert len(peers_table()) == 19


def test_rows_of_ours_without_a_network_are_refused():
    with pytest.raises(ValueError, match="our rows lack the column 'arm'"):
        peers_table(pd.DataFrame({"who": ["us"], "backbone": ["vgg16"]}))
