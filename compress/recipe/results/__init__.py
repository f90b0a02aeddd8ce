"""What the runs came to: lines, figures, expectations, and the page, table and records that say so."""
