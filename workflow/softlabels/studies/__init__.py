"""Tables, figures and the ledger of a study; computes no metric of its own."""
