"""Defects that nobody wrote by hand: templates of mechanisms, put at every place that a catalogue has.

A template is a mechanism, such as «the text T becomes T′». A place is a function, an argument at any depth, a member of a
result, a role, a header. The injector puts a template at a place of the reference service, or of one of two servers of
other domains. Run `python -m benchmarks.defect_grid`.
"""
