"""io.yaml in, experiment repository out."""
