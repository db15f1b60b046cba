"""The catalogue of a target's functions: model, validation, import of a documentation page, exports."""
