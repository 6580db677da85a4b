"""What others call over HTTP: the webhook intake and the reservation API. Each is a process of its own."""
