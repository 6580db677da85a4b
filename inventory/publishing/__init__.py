"""What each channel may show, what it was shown, and how much it could sell unseen at worst."""
