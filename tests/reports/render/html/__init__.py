"""Tests of `reports.render.html`."""
