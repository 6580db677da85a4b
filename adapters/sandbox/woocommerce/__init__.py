"""An imitated WooCommerce."""
