"""A repository for tests."""
