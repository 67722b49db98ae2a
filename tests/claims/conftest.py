import numpy as np
import pytest


@pytest.fixture(scope="session")
def cell():
    """The one row of a table with these values."""

    def find(table, **key):
        found = table[np.logical_and.reduce([table[name] == value for name, value in key.items()])]
        assert len(found) == 1
        return found.iloc[0]

    return find
