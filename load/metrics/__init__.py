"""What was measured: histograms, aggregation, SLOs, the generator's health."""
