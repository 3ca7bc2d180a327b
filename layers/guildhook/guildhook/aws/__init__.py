"""Amazon Web Services: signed requests, queues, functions, secrets and custom resources."""
