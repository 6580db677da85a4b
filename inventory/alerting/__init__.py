"""Who is told of which incident, when, and in which words."""
