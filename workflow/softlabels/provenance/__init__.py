"""Where a number comes from: manifests, audit, explain; numpy and pyarrow, no torch."""
