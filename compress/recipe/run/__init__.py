"""Plan runs from steps and do them: each in a process of its own, unless it is done already."""
