"""Results of the runs: lines, figures, expectations, and the page, table and records made of them."""
