"""The subcommands that do not run the suites: call, catalog, explore, init."""
