"""One user with enough credit for every test that is not about money."""

import pytest

import api


@pytest.fixture(scope="session")
def rich():
    return api.User(100 * api.USD)


@pytest.fixture(scope="session")
def client(rich):
    with rich.client() as client:
        yield client


@pytest.fixture
def user():
    """A user with one dollar that nobody else spends."""
    return api.User()
