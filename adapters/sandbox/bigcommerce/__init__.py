"""An imitated BigCommerce."""
