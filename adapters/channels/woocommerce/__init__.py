"""WooCommerce's REST API."""
