"""core/masking.py: what PostgreSQL quotes from a row."""

import pytest
from core.masking import mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (
            "DETAIL:  Key (email)=(ada@shop.test) already exists.\nnext",
            "DETAIL: ***\nnext",
        ),
        (
            "DETAIL:  Failing row contains (1, a\n\nb).\nCONTEXT: x",
            "DETAIL: ***\nCONTEXT: x",
        ),
        ("DETAIL:  Failing row contains (1, null).", "DETAIL: ***"),
    ],
)
def test_values_of_a_row_are_masked(text, masked):
    assert mask(text) == masked
