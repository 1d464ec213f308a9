"""The stages of the pipeline, one file each: every stage only adds columns to the table."""
