"""core/masking.py: what MySQL and MariaDB quote from a row."""

from core.masking import mask


def test_a_value_of_a_row_is_masked():
    text = "Duplicate entry 'ada@shop.test' for key 'users_user.email'"
    assert mask(text) == "Duplicate entry '***' for key 'users_user.email'"
