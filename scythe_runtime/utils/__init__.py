"""Helpers under the names of scythe-engine."""
