"""Who may do what, who approved it, and what was done by hand."""
