"""A run over several processes: plan, coordinator, results, master and workers."""
