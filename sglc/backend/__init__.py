"""The local runtime: an engine that batches generations of many programs over one radix KV cache."""
