"""Case files: the format, and their recording."""
