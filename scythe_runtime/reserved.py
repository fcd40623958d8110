"""Names that the base classes of specs use, so that no field may have them. Pure: the generator reads it.

A field named like a method would replace it without a word. The tests compare these sets with the
real classes.
"""

from typing import Final

BASE_INPUT_FIELDS: Final = frozenset(
    {"experiment_id", "sort_index", "workflow_run_id", "root_workflow_run_id", "storage_settings"}
)
"""Fields that every input spec has; they are levels of the results' index too."""

BASE_OUTPUT_FIELDS: Final = frozenset({"dataframes"})
"""Fields that every output spec has."""

INDEX_LEVELS: Final = BASE_INPUT_FIELDS | {"sort_subindex"}
"""Names that the runtime gives to levels of the results' index."""

INPUT_MEMBERS: Final = frozenset(
    {
        "as_allocated",
        "checked_features",
        "computed_features",
        "construct_output_key",
        "fetch_uri",
        "local_path",
        "log",
        "make_multiindex",
        "prefix",
        "with_files_copied_to",
        "with_local_files",
    }
)
"""Methods and properties of an input spec."""

FILE_MEMBERS: Final = frozenset({"local_artifact_file_paths", "remote_artifact_file_paths"})
"""Methods and properties of both specs, for their file references."""

MODEL_MEMBERS: Final = frozenset(
    {
        "construct",
        "copy",
        "dict",
        "from_orm",
        "json",
        "model_computed_fields",
        "model_config",
        "model_construct",
        "model_copy",
        "model_dump",
        "model_dump_json",
        "model_extra",
        "model_fields",
        "model_fields_set",
        "model_json_schema",
        "model_parametrized_name",
        "model_post_init",
        "model_rebuild",
        "model_validate",
        "model_validate_json",
        "model_validate_strings",
        "parse_file",
        "parse_obj",
        "parse_raw",
        "schema",
        "schema_json",
        "update_forward_refs",
        "validate",
    }
)
"""Members of every pydantic model, nested ones among them."""

INPUT_NAMES: Final = INPUT_MEMBERS | FILE_MEMBERS | MODEL_MEMBERS | INDEX_LEVELS
"""What an input cannot be called."""

OUTPUT_NAMES: Final = BASE_OUTPUT_FIELDS | FILE_MEMBERS | MODEL_MEMBERS | INDEX_LEVELS
"""What an output cannot be called."""
