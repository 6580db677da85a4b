"""How much of the stock each listing gets: policy-as-code, and what is learned for it."""
