"""The same small service as first versions on several stacks, each with switches that mend one defect."""
