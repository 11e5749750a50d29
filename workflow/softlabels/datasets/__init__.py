"""One module a data source; each writes the data set contract (workflow/README.md)."""
