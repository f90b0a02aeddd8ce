"""The command that says which published claims hold on this machine."""
