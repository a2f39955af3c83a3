"""One user with enough credit for every test that is not about money."""

import pytest

pytest.register_assert_rewrite("api", "scenarios")

import api  # noqa: E402 after its assertions are made to speak


@pytest.fixture(scope="session")
def rich():
    return api.User(100 * api.USD)


@pytest.fixture(scope="session")
def client(rich):
    with rich.client() as client:
        yield client


@pytest.fixture(scope="session")
def rich_key(rich):
    """An account has 100 keys at most."""
    return rich.key()["key"]


@pytest.fixture
def user():
    """A user with one dollar that nobody else spends."""
    return api.User()
