"""From steps to runs, and doing them: each in a process of its own, unless it is done already."""
