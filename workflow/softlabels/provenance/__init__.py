"""Where a number comes from: code closure and manifests; numpy and pyarrow, no torch."""
