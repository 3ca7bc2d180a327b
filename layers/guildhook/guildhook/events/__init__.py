"""The way of an event: from a batch of the queue to the replies in the chat."""
