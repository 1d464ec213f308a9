"""Ways to hand a version to other tools, one file per format."""
